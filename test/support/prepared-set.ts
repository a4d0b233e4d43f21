import { pino } from 'pino';
import { expect, type MockInstance, vi } from 'vitest';
import type { LoadOptions, ModelFiles } from '../../node/backend/backend.ts';
import { CoreTurns } from '../../node/backend/core-turns.ts';
import { GpuMemory } from '../../node/device/gpu-memory.ts';
import type { AllowList } from '../../node/node-init.ts';
import { NodePolicy } from '../../node/node-policy.ts';
import type { ReplicaFetchOptions } from '../../node/replica/replica-fetch.ts';
import { ReplicaSet } from '../../node/replica/replica-set.ts';
import type { ReplicaSetComponents } from '../../node/replica/replica-set-init.ts';
import { VersionExperience } from '../../node/replica/version-experience.ts';
import type { WantedVersion } from '../../node/store/wanted-versions.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { echoModel } from './echo-model.ts';
import { FakeBackend, type FakeModel } from './fake-backend.ts';
import { bareManifest, createModelFolder } from './model-folder.ts';

export const GIB = 1024 ** 3;
export const PUBLISHER = 'publisher' as PublisherId;
export const version = (name: string) => name as VersionCid;

class CountingBackend extends FakeBackend {
  readonly models: FakeModel[] = [];
  /** Those of each model, the probe's included. */
  readonly runs: MockInstance<FakeModel['run']>[] = [];
  readonly loads: (LoadOptions | undefined)[] = [];
  failure: Error | undefined;

  override async load(files: ModelFiles, options?: LoadOptions): Promise<FakeModel> {
    this.loads.push(options);
    if (this.failure !== undefined) throw this.failure;
    const model = await super.load(files, options);
    this.runs.push(vi.spyOn(model, 'run'));
    this.models.push(model);
    return model;
  }
}

/** What is special about the versions of a set. */
interface PreparedSet {
  readonly retired: readonly string[];
  /** Those that were left on the disk alone before the restart. */
  readonly cold: readonly string[];
  /** Stands in for a fetch that takes its time. */
  readonly fetch: (signal: AbortSignal) => Promise<void>;
  readonly allowTasks: AllowList;
}

/** A set that finds `names` on its disk when it starts; what of a node is not looked at is not there. */
export async function prepareSet(
  names: readonly string[],
  maxMemoryBytes = GIB,
  failure?: Error,
  { retired = [], cold = [], fetch, allowTasks = 'any' }: Partial<PreparedSet> = {},
) {
  const folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: ['n'] } }));
  const { directory } = folder.files;
  const manifest = bareManifest(folder.files);
  const backend = new CountingBackend({ provider: 'cpu' });
  backend.failure = failure;
  const removed: string[] = [];
  const wanted = new Map<string, boolean>();
  const stubs = {
    peer: {
      libp2p: { contentRouting: { provide: async () => {} } },
      releases: { cached: () => undefined },
    },
    store: {
      wanted: async () =>
        names.map((name) => ({
          ...{ publisher: PUBLISHER, name, cid: version(name), release: null },
          cold: cold.includes(name),
        })),
      want: async ({ cid, cold: isCold = false }: WantedVersion) => void wanted.set(cid, isCold),
      noteUse: () => {},
      unwant: async (cid: string) => removed.push(cid),
      remove: async (cid: string) => removed.push(cid),
    },
    fetcher: {
      fetch: async (_cid: VersionCid, { signal }: ReplicaFetchOptions) => {
        await fetch?.(signal);
        return { manifest, directory };
      },
    },
    releases: { learn: () => {}, adopt: () => {} },
  };
  const policy = new NodePolicy(
    { allowPublishers: 'any', allowVersions: 'any', allowTasks },
    { cordoned: false, pinned: [], forbidden: [] },
  );
  const set = new ReplicaSet(
    {
      ...(stubs as unknown as ReplicaSetComponents),
      ...{ backend, policy },
      gpus: new GpuMemory(),
      experience: new VersionExperience(),
      cores: new CoreTurns(1),
      changed: () => {},
    },
    {
      maxQueued: 10,
      executionLimitMs: 1_000,
      maxMemoryBytes,
      threads: 1,
      logger: pino({ level: 'silent' }),
    },
  );
  await set.restore(async (cid) => retired.includes(cid));
  const become = async (name: string, state: string) =>
    vi.waitFor(() => expect(set.get(version(name))?.state).toBe(state));
  return {
    set,
    backend,
    removed,
    wanted,
    become,
    async [Symbol.asyncDispose]() {
      await set.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}
