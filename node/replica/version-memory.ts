import type { Logger } from 'pino';
import { isSwarmError } from '../../protocols/errors.ts';
import { manifestBytes } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { estimateMemory, type VersionSize, versionSize } from '../../src/policy/memory-need.ts';
import type { InferenceBackend, LoadedModel } from '../backend/backend.ts';
import { CoreBoundBackend } from '../backend/core-bound-backend.ts';
import type { CoreTurns } from '../backend/core-turns.ts';
import type { GpuMemory } from '../device/gpu-memory.ts';
import { privateBytes } from '../device/process-memory.ts';
import type { Evictable, MemoryClaim, MemoryLease, MemoryLedger } from './memory-ledger.ts';
import type { BatchFinding } from '../scheduler/batch-probe.ts';
import type { VersionExperience } from './version-experience.ts';
import { VersionInstances } from './version-instances.ts';
import { type LoadableVersion, loadVersion } from './version-load.ts';

/** Bytes a millisecond at which models load where none was measured: from a disk, parsed and packed. */
const ASSUMED_BYTES_PER_MS = 100_000;

/** Milliseconds that a child and the runtime take to start. */
const ASSUMED_START_MS = 500;

export interface VersionMemoryComponents {
  readonly backend: InferenceBackend;
  readonly ledger: MemoryLedger;
  readonly gpus: GpuMemory;
  /** On which models compute, all together. */
  readonly cores: CoreTurns;
  readonly experience: VersionExperience;
  /** Threads of one process at most. */
  readonly threads: number;
  readonly logger: Logger;
}

export interface VersionMemoryOptions {
  readonly signal: AbortSignal;
  /** Which idle versions may leave for it. */
  readonly evict: Evictable;
  /** Bytes that models may take of the host's memory together. */
  readonly memoryBytes: number;
}

/** A version in memory. */
export interface VersionInMemory {
  readonly model: LoadedModel;
  /** What it runs on, in words: how fast it is depends on nothing else here. */
  readonly device: string;
  /** Ends when the model's processes have. */
  readonly lease: Pick<MemoryLease, 'release'>;
  readonly loadMs: number;
  readonly note: string | null;
  /** How requests run together on its processes; undefined where that was not tried. */
  readonly batches: BatchFinding | undefined;
}

/** What one attempt on one execution provider holds. */
interface Attempt {
  readonly provider: string;
  readonly gpu: string | null;
  readonly lease: MemoryLease;
}

/** Brings versions from the disk into memory, never more than fits. */
export class VersionMemory {
  readonly #components: VersionMemoryComponents;
  readonly #backend: CoreBoundBackend;
  readonly #instances: VersionInstances;
  /** Execution providers on which the golden vectors of a version came out right since this process began. */
  readonly #proven = new Map<VersionCid, Set<string>>();

  constructor(components: VersionMemoryComponents) {
    this.#components = components;
    const { backend, cores, threads } = components;
    this.#backend = new CoreBoundBackend(backend, cores, threads);
    this.#instances = new VersionInstances(components);
  }

  /**
   * Loads a version as {@link loadVersion} does, each attempt with its memory reserved before it. What takes its place on a
   * lesser execution provider says why in `note` and in the log.
   *
   * @throws {ERR_LIMIT | ERR_BUSY} as {@link MemoryLedger.reserve}, when no execution provider has room for it.
   */
  async load(version: LoadableVersion, options: VersionMemoryOptions): Promise<VersionInMemory> {
    const { logger } = this.#components;
    const size = versionSize(version.manifest);
    const startedAtMs = performance.now();
    const proven = this.#proven.get(version.cid) ?? new Set<string>();
    this.#proven.set(version.cid, proven);
    let attempt: Attempt | undefined;
    let model: LoadedModel | undefined;
    const passedOver: string[] = [];
    try {
      model = await loadVersion(this.#backend, version, {
        signal: options.signal,
        logger,
        memoryBytes: options.memoryBytes,
        proven,
        place: async (provider) => {
          attempt = await this.#reserve(version.cid, size, provider, options.evict);
          return {
            device: this.#components.gpus.pinOf(attempt.gpu),
            threads: this.#instances.threadsOf(version.cid, provider),
          };
        },
        passedOver: (provider, error) => {
          attempt?.lease.release();
          attempt = undefined;
          passedOver.push(`${provider}: ${error instanceof Error ? error.message : String(error)}`);
        },
      });
      if (attempt === undefined)
        throw new Error('a model was loaded for which nothing is reserved');
      this.#settle(attempt, model);
      const loadMs = performance.now() - startedAtMs;
      const spread = await this.#instances.spread(version, model, {
        ...options,
        processBytes: estimateMemory(size, false).hostBytes,
        loadMs,
      });
      const { lease } = attempt;
      // Its place was taken by processes with fewer threads, which read the same weights in place.
      if (spread.model !== model) settleShared(lease, spread.model);
      const [best] = passedOver;
      return {
        model: spread.model,
        device: this.#components.gpus.describe(model.provider, attempt.gpu),
        lease: {
          release: () => {
            lease.release();
            spread.release();
          },
        },
        loadMs,
        batches: spread.batches,
        note: best === undefined ? null : `runs on ${model.provider}; ${best}`,
      };
    } catch (error) {
      await model?.unload();
      attempt?.lease.release();
      throw error;
    }
  }

  /** Estimates were wrong: idle versions leave until all is within its bounds, or the log says by how much it is not. */
  async reconcile(): Promise<void> {
    const { ledger, gpus, logger } = this.#components;
    for (const pool of ['host', ...gpus.pools.map(({ id }) => id)]) {
      const excessBytes = await ledger.reconcile(pool);
      if (excessBytes > 0) {
        logger.warn({ pool, excessBytes }, 'models in use take more memory than they may');
      }
    }
  }

  /** Milliseconds that a first load may take, by the size of the files. */
  assumedLoadMs(version: LoadableVersion): number {
    return ASSUMED_START_MS + manifestBytes(version.manifest) / ASSUMED_BYTES_PER_MS;
  }

  async #reserve(
    cid: VersionCid,
    size: VersionSize,
    provider: string,
    evict: Evictable,
  ): Promise<Attempt> {
    const { ledger, gpus } = this.#components;
    const candidates = gpus.poolsOf(provider);
    const need = estimateMemory(size, candidates.length > 0);
    const host: MemoryClaim = { pool: 'host', bytes: need.hostBytes };
    if (candidates.length === 0) {
      return { provider, gpu: null, lease: await ledger.reserve(cid, [host], { evict }) };
    }
    // The GPU with most room comes first; those that have to be cleared for it, after it.
    const byRoom = candidates.toSorted((a, b) => ledger.freeBytes(b) - ledger.freeBytes(a));
    let failure: unknown;
    for (const gpu of byRoom) {
      try {
        const lease = await ledger.reserve(cid, [host, { pool: gpu, bytes: need.gpuBytes }], {
          evict,
        });
        return { provider, gpu, lease };
      } catch (error) {
        if (!isSwarmError(error)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  #settle({ gpu, lease }: Attempt, model: LoadedModel): void {
    // While its process is being restarted a model says nothing: what it had is about to be had again.
    let hostBytes: number | null = null;
    lease.settle('host', () => {
      const ownBytes = privateBytes(model.pid);
      // Weights that are read in place count once, with the first of the processes that share them.
      const shared = model.mappedBytes ?? 0;
      hostBytes = ownBytes === null ? (model.memoryBytes ?? hostBytes) : ownBytes + shared;
      return hostBytes;
    });
    if (gpu !== null) lease.settle(gpu, () => this.#components.gpus.bytesOf(model.pid));
  }
}

/** Leaves reserved what all processes of a version read in place; nothing where they do not. */
function settleShared(lease: MemoryLease, { mappedBytes = 0 }: LoadedModel): void {
  if (mappedBytes > 0) lease.settle('host', () => mappedBytes);
  else lease.release();
}
