/** Many callers in one process: a closed loop, in which each sends when it was answered, or an open one, in which nobody waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isSwarmError } from '../../protocols/errors.ts';
import { INFERENCE_VERSION, InferenceConnection } from '../../protocols/inference/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { VERSION } from '../rpc/service.ts';
import { dial, NETWORK, startLibp2p } from '../swarm-libp2p.ts';
import { answerQuestions } from '../worker.ts';
import { pinToOtherCores } from './pin.ts';

export interface ClosedLoop {
  readonly callers: number;
  readonly seconds: number;
}

export interface OpenLoop {
  /** Mean of a Poisson process. */
  readonly requestsPerSecond: number;
  readonly seconds: number;
  readonly deadlineMs: number;
}

export interface OpenLoopFound {
  /** Requests a second that were sent: fewer than asked for where this process is too slow for them. */
  readonly sentPerSecond: number;
  /** Within the time in which requests were sent. */
  readonly answeredPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
  /** From the request to its refusal, at p99. */
  readonly refusalP99Ms: number;
  /** Neither answered nor refused: past their deadline, or failed. */
  readonly lost: number;
}

export type ClientQuestions = {
  readonly connect: {
    readonly ask: { readonly address: string; readonly itemShape: readonly number[] };
    readonly answer: null;
  };
  /** Answered with the requests a second. */
  readonly closed: { readonly ask: ClosedLoop; readonly answer: number };
  readonly open: { readonly ask: OpenLoop; readonly answer: OpenLoopFound };
};

/** Milliseconds that a closed loop's requests have: none is refused. */
const FAR_MS = 60_000;

const closing: (() => Promise<unknown>)[] = [];
let connection: InferenceConnection | undefined;
let input = new Tensor('FP32', [0], new Uint8Array());

answerQuestions<ClientQuestions>(
  {
    async connect({ address, itemShape }) {
      await pinToOtherCores(process.pid);
      const shape = [1, ...itemShape];
      const count = shape.reduce((product, size) => product * size, 1);
      input = Tensor.from(
        'FP32',
        shape,
        Float32Array.from({ length: count }, (_, index) => Math.sin(index)),
      );
      const libp2p = await startLibp2p({ listens: false });
      closing.push(async () => libp2p.stop());
      const dialled = await dial(libp2p, address);
      const protocol = protocolId(NETWORK, 'inference', INFERENCE_VERSION);
      connection = new InferenceConnection(await dialled.newStream(protocol));
      return null;
    },
    async closed({ callers, seconds }) {
      const end = performance.now() + seconds * 1000;
      let answered = 0;
      const caller = async (): Promise<void> => {
        while (performance.now() < end) {
          await call(FAR_MS);
          if (performance.now() <= end) answered += 1;
        }
      };
      await Promise.all(Array.from({ length: callers }, caller));
      return answered / seconds;
    },
    open: openLoop,
  },
  async () => {
    for (const close of closing.toReversed()) await close();
  },
);

async function openLoop({ requestsPerSecond, seconds, deadlineMs }: OpenLoop) {
  const answeredMs: number[] = [];
  const refusedMs: number[] = [];
  let [inWindow, lost] = [0, 0];
  const send = async (): Promise<void> => {
    const sentAtMs = performance.now();
    try {
      await call(deadlineMs);
      const nowMs = performance.now();
      answeredMs.push(nowMs - sentAtMs);
      if (nowMs <= endMs) inWindow += 1;
    } catch (error) {
      if (isSwarmError(error) && error.code === 'ERR_BUSY') {
        refusedMs.push(performance.now() - sentAtMs);
      } else {
        lost += 1;
      }
    }
  };
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  const sent: Promise<void>[] = [];
  for (let dueMs = startMs; dueMs < endMs; ) {
    const restMs = dueMs - performance.now();
    if (restMs > 1) await sleep(restMs);
    else if (sent.length % 16 === 0) await new Promise(setImmediate);
    sent.push(send());
    dueMs += (-Math.log(1 - Math.random()) * 1000) / requestsPerSecond;
  }
  const sendingSeconds = Math.max(seconds, (performance.now() - startMs) / 1000);
  await Promise.all(sent);
  const [answers, refusals] = [answeredMs, refusedMs].map((times) => times.sort((a, b) => a - b));
  return {
    sentPerSecond: sent.length / sendingSeconds,
    answeredPerSecond: inWindow / seconds,
    p50Ms: quantile(answers ?? [], 0.5),
    p99Ms: quantile(answers ?? [], 0.99),
    refused: refusedMs.length,
    refusalP99Ms: quantile(refusals ?? [], 0.99),
    lost,
  };
}

async function call(deadlineMs: number): Promise<void> {
  if (connection === undefined) throw new Error('expected connect before the first call');
  const { signal } = new AbortController();
  const request = {
    version: VERSION,
    deadlineMs,
    priority: 0,
    traceparent: '',
    outputs: [],
    inputs: [{ name: 'x', tensor: input }],
  };
  await connection.infer(request, { signal });
}

/** Zero of none. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
