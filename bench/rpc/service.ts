import type { LoadedModel } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { InferenceService } from '../../node/inference-service.ts';
import { Replica } from '../../node/replica/replica.ts';
import { VersionQueue } from '../../node/scheduler/version-queue.ts';
import { cidOfDigest, sha256 } from '../../protocols/digest.ts';
import type { InferenceHandler } from '../../protocols/inference/index.ts';
import { Tensor } from '../../protocols/tensor.ts';
import type { LoadReport, PublisherId, VersionCid } from '../../protocols/types.ts';
import type { RunTiming } from '../../src/policy/service-time.ts';
import { OutcomeTally } from '../../src/swarm/outcome-tally.ts';
import { ADDED, FLOAT_BYTES, MAX_REPLY_BYTES, MODEL_INPUTS, MODEL_OUTPUTS } from './model.ts';

/** `echo` is the transport alone; `executor` puts the child process and the tiny model behind it. */
export type Mode = 'echo' | 'executor';

export const MODES: readonly Mode[] = ['echo', 'executor'];

/** Milliseconds a request may take: far off, but set, as in use. */
export const DEADLINE_MS = 30_000;

/** Any version will do: nothing here is looked up by its contents. */
export const VERSION = cidOfDigest(sha256(Buffer.from('bench'))).toString() as VersionCid;

const IDLE: LoadReport = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };

/** What stands behind a server: one behind ours and behind its peers. */
export interface RpcService {
  /** For a transport that carries bytes. */
  answer(payload: Uint8Array): Promise<Uint8Array>;
  /** For ours, which carries tensors. */
  readonly handler: InferenceHandler;
  close(): Promise<void>;
}

/** Sends back the first 4 KiB. */
export function createEchoService(): RpcService {
  const echo = (payload: Uint8Array) => payload.subarray(0, MAX_REPLY_BYTES);
  return {
    answer: async (payload) => echo(payload),
    handler: {
      admit: () => ({
        execute: async (inputs) => {
          const input = inputs[0];
          if (input === undefined) throw new TypeError('expected one input, found none');
          const outputs = [{ name: 'y', tensor: floats(echo(input.tensor.bytes)) }];
          return { outputs, queueMs: 0, executeMs: 0, load: IDLE, releaseSequence: 1 };
        },
      }),
      load: () => IDLE,
    },
    close: async () => {},
  };
}

/** The node's own queue, backend and child process, without the rest of a node; the caller closes it. */
export async function createExecutorService(directory: string, entry: string): Promise<RpcService> {
  const backend = createOnnxBackend();
  const files = { cid: VERSION, directory, entry, inputs: MODEL_INPUTS, outputs: MODEL_OUTPUTS };
  const model = await backend.load(files);
  const timings = await timingsOf(model);
  const queue = new VersionQueue(model, { maxQueued: 256, executionLimitMs: 10_000, timings });
  const replica = new Replica({
    publisher: 'bench' as PublisherId,
    name: 'tiny',
    cid: VERSION,
  });
  replica.loaded(model, queue);
  const outcomes = new OutcomeTally();
  const handler = new InferenceService(
    {
      replicas: {
        get: (cid) => (cid === VERSION ? replica : undefined),
        wake: (cid) => new TypeError(`version ${cid} is always in memory`),
      },
      sequenceOf: () => 1,
      countOutcome: (_, outcome, caller) => outcomes.record(outcome, Date.now(), caller),
    },
    { allowCallers: 'any', maxRequestBytes: 64 * 1024 * 1024 },
  );
  return {
    answer: async (payload) => {
      const { outputs } = await queue.submit([{ name: 'x', tensor: floats(payload) }], {
        deadlineAtMs: performance.now() + DEADLINE_MS,
      });
      const output = outputs[0];
      if (output === undefined) throw new TypeError('expected one output, found none');
      return output.tensor.bytes;
    },
    handler,
    close: async () => backend.stop(),
  };
}

/**
 * What runs of two sizes take, as a node finds out when it loads a model: by small ones alone, that take all of their time for
 * being called, large ones would seem to take half a minute, and be refused.
 */
async function timingsOf(model: LoadedModel): Promise<RunTiming[]> {
  const timings: RunTiming[] = [];
  for (const elements of [16, 160_000]) {
    const inputs = [{ name: 'x', tensor: floats(new Uint8Array(elements * FLOAT_BYTES)) }];
    await model.run(inputs, { limitMs: 10_000 });
    const startedAtMs = performance.now();
    await model.run(inputs, { limitMs: 10_000 });
    timings.push({ elements, ms: performance.now() - startedAtMs });
  }
  return timings;
}

/** Bytes as the one-dimensional FP32 tensor that they are in both modes. */
export function floats(bytes: Uint8Array): Tensor {
  return new Tensor('FP32', [bytes.byteLength / FLOAT_BYTES], bytes);
}

/** What a client sends: small counting floats, so that a wrong or shifted answer shows. */
export function createPayload(bytes: number): Buffer {
  const values = Float32Array.from({ length: bytes / FLOAT_BYTES }, (_, index) => index % 1000);
  return Buffer.from(values.buffer);
}

/** What must come back for {@link createPayload}. */
export function expectedReply(mode: Mode, payload: Buffer): Buffer {
  const kept = payload.subarray(0, MAX_REPLY_BYTES);
  if (mode === 'echo') return kept;
  const values = new Float32Array(kept.buffer, kept.byteOffset, kept.byteLength / FLOAT_BYTES);
  return Buffer.from(values.map((value) => value + ADDED).buffer);
}
