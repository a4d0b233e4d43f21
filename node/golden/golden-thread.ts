import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { SwarmError } from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { OutputDifference } from '../../src/policy/output-comparison.ts';
import type { GoldenJudgeOptions, GoldenQuestion } from './golden-judge.ts';
import { packTensors, type ThreadAnswer, type ThreadInit, unpackTensors } from './golden-port.ts';

export interface GoldenThreadOptions extends GoldenJudgeOptions {
  readonly signal: AbortSignal;
}

/**
 * `judgeGolden` in a thread of its own, which ends with the generator: reading the largest file there may be takes half a second,
 * and one of long integers several, in which the thread of the network would answer nobody.
 *
 * @param bytes are moved to the thread: empty afterwards
 * @throws {ERR_INVALID_MODEL} as `judgeGolden`.
 * @throws the signal's reason when it aborts
 */
export async function* judgeInThread(
  bytes: Uint8Array<ArrayBuffer>,
  { signal, ...options }: GoldenThreadOptions,
): AsyncGenerator<GoldenQuestion, OutputDifference | undefined, readonly NamedTensor[]> {
  signal.throwIfAborted();
  const worker = startWorker({ ...options, bytes });
  try {
    for (;;) {
      const answer = await hear(worker, signal);
      switch (answer.type) {
        case 'question': {
          const inputs = unpackTensors(answer.inputs);
          const found = yield { inputs, wanted: answer.wanted };
          // Copied, not moved: an answer may lie in memory that holds more than it.
          worker.postMessage(packTensors(found), []);
          break;
        }
        case 'judged':
          return answer.difference;
        case 'failed':
          throw new SwarmError(answer.code, answer.message, { details: answer.details });
      }
    }
  } finally {
    await worker.terminate();
  }
}

function startWorker(init: ThreadInit): Worker {
  const entry = new URL(`./golden-worker${path.extname(import.meta.url)}`, import.meta.url);
  // Node before 22.18 runs the checkout's .ts files only when told to.
  const strip = entry.href.endsWith('.ts') && !process.features.typescript;
  return new Worker(entry, {
    workerData: init,
    transferList: [init.bytes.buffer],
    execArgv: strip ? ['--no-warnings', '--experimental-strip-types'] : [],
  });
}

async function hear(worker: Worker, signal: AbortSignal): Promise<ThreadAnswer> {
  try {
    const [answer] = (await once(worker, 'message', { signal })) as [ThreadAnswer];
    return answer;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
