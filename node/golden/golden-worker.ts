/** The thread that reads golden vectors and judges the answers to them; it is ended from outside. */
import { once } from 'node:events';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { isSwarmError } from '../../protocols/errors.ts';
import { judgeGolden } from './golden-judge.ts';
import {
  type PackedTensor,
  packTensors,
  type ThreadAnswer,
  type ThreadInit,
  unpackTensors,
} from './golden-port.ts';

async function judge(port: MessagePort): Promise<ThreadAnswer> {
  const { bytes, ...options } = workerData as ThreadInit;
  try {
    const judging = judgeGolden(bytes, options);
    let step = judging.next([]);
    while (step.done !== true) {
      const { inputs, wanted } = step.value;
      const question: ThreadAnswer = { type: 'question', inputs: packTensors(inputs), wanted };
      port.postMessage(question);
      const [found] = (await once(port, 'message')) as [readonly PackedTensor[]];
      step = judging.next(unpackTensors(found));
    }
    return { type: 'judged', difference: step.value };
  } catch (error) {
    // What is no error of ours ends the thread, and is thrown where it was started.
    if (!isSwarmError(error)) throw error;
    return { type: 'failed', code: error.code, message: error.message, details: error.details };
  }
}

if (parentPort !== null) parentPort.postMessage(await judge(parentPort), []);
