/** The node's side: inference protocol, admission, queue, executor, as a node puts them together, in a process of its own. */
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LoadedModel } from '../../node/backend/backend.ts';
import { CoreBoundBackend } from '../../node/backend/core-bound-backend.ts';
import { CoreTurns } from '../../node/backend/core-turns.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { InferenceService } from '../../node/inference-service.ts';
import { Replica } from '../../node/replica/replica.ts';
import { type BatchFinding, probeBatching } from '../../node/scheduler/batch-probe.ts';
import { VersionQueue } from '../../node/scheduler/version-queue.ts';
import {
  handleInference,
  INFERENCE_VERSION,
  type InferenceHandler,
} from '../../protocols/inference/index.ts';
import { resolveDeployment } from '../../protocols/manifest/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import type { LoadReport, PublisherId, TensorSpec } from '../../protocols/types.ts';
import { tuneGarbageCollection } from '../../src/cli/garbage-collection.ts';
import { VERSION } from '../rpc/service.ts';
import { addressOf, NETWORK, startLibp2p } from '../swarm-libp2p.ts';
import { answerQuestions } from '../worker.ts';
import { pinToExecutorCore, pinToOtherCores } from './pin.ts';
import { RefusalTimes } from './refusal-times.ts';

/** Requests waiting at most, as a node has it by default. */
const MAX_QUEUED = 256;

const IDLE: LoadReport = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };

interface ServeQuestion {
  readonly file: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export type ServerQuestions = {
  /** Answered with the address. */
  readonly serve: { readonly ask: ServeQuestion; readonly answer: string };
  /** Switches between the model and sending each input back. */
  readonly echo: { readonly ask: boolean; readonly answer: null };
  readonly finding: { readonly ask: null; readonly answer: BatchFinding };
  /** Resident bytes of the model's process; null when unknown. */
  readonly memory: { readonly ask: null; readonly answer: number | null };
  /** Milliseconds at p99 that the event loop was late since the last asking. */
  readonly loopDelay: { readonly ask: null; readonly answer: number };
  /** Milliseconds at p99 from a header to its refusal, inside the node, since the last asking. */
  readonly refusals: { readonly ask: null; readonly answer: number };
};

const delay = monitorEventLoopDelay({ resolution: 1 });
const refusals = new RefusalTimes();
const closing: (() => Promise<unknown>)[] = [];
let echoes = false;
let finding: BatchFinding | undefined;
let model: LoadedModel | undefined;

answerQuestions<ServerQuestions>(
  {
    async serve({ file, inputs, outputs }) {
      tuneGarbageCollection();
      await pinToOtherCores(process.pid);
      const backend = new CoreBoundBackend(createOnnxBackend({ threads: 1 }), new CoreTurns(1), 1);
      closing.push(async () => backend.stop());
      const directory = path.dirname(file);
      const files = { cid: VERSION, directory, entry: path.basename(file), inputs, outputs };
      const loaded = await backend.load(files);
      if (loaded.pid === undefined) throw new Error('no process');
      model = loaded;
      await pinToExecutorCore(loaded.pid);
      finding = await probeBatching(loaded, resolveDeployment({}), new AbortController().signal);
      const queue = new VersionQueue(loaded, {
        maxQueued: MAX_QUEUED,
        executionLimitMs: 10_000,
        batching: { axis: 0, maxRows: finding.maxRows, maxDelayMs: 0 },
        timings: finding.timings,
      });
      const replica = new Replica({
        publisher: 'bench' as PublisherId,
        name: 'bench',
        cid: VERSION,
      });
      replica.loaded(loaded, queue);
      const service = new InferenceService(
        {
          replicas: {
            get: () => replica,
            wake: (cid) => new TypeError(`version ${cid} is always in memory`),
          },
          sequenceOf: () => 1,
          countOutcome: () => {},
        },
        { allowCallers: 'any', maxRequestBytes: 64 * 1024 * 1024 },
      );
      delay.enable();
      return listen({
        admit: (header, context) => (echoes ? ECHO : service.admit(header, context)),
        load: (version) => service.load(version),
      });
    },
    async echo(on) {
      echoes = on;
      return null;
    },
    async finding() {
      if (finding === undefined) throw new Error('expected serve before finding');
      return finding;
    },
    async memory() {
      return model?.memoryBytes ?? null;
    },
    async loopDelay() {
      const p99Ms = delay.percentile(99) / 1e6;
      delay.reset();
      return p99Ms;
    },
    async refusals() {
      return refusals.takeP99Ms();
    },
  },
  async () => {
    for (const close of closing.toReversed()) await close();
  },
);

const ECHO: ReturnType<InferenceHandler['admit']> = {
  execute: async ([input]) => {
    if (input === undefined) throw new TypeError('expected one input, found none');
    return { outputs: [input], queueMs: 0, executeMs: 0, load: IDLE, releaseSequence: 1 };
  },
};

async function listen(handler: InferenceHandler): Promise<string> {
  const libp2p = await startLibp2p({ listens: true });
  closing.push(async () => libp2p.stop());
  const protocol = protocolId(NETWORK, 'inference', INFERENCE_VERSION);
  await libp2p.handle(protocol, (stream, connection) =>
    handleInference(stream, connection.remotePeer.toString(), refusals.watch(stream, handler), {
      onProtocolError: (error) => console.error(error),
    }),
  );
  return addressOf(libp2p);
}
