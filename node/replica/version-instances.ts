import type { Logger } from 'pino';
import { isSwarmError } from '../../protocols/errors.ts';
import { resolveDeployment } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { InferenceBackend, LoadedModel } from '../backend/backend.ts';
import type { CoreTurns } from '../backend/core-turns.ts';
import { ModelInstances } from '../backend/model-instances.ts';
import { privateBytes } from '../device/process-memory.ts';
import type { InstanceLayout } from '../../src/policy/instance-layout.ts';
import { tryInstances } from './instance-trial.ts';
import type { MemoryLease, MemoryLedger } from './memory-ledger.ts';
import type { BatchFinding } from '../scheduler/batch-probe.ts';
import type { VersionExperience } from './version-experience.ts';
import { filesOf, type LoadableVersion, mayDerive } from './version-load.ts';

/** Of the memory that is free, what one more process may take: the rest is for versions that are not loaded yet. */
const FREE_SHARE = 0.5;

export interface VersionInstancesComponents {
  readonly backend: InferenceBackend;
  readonly ledger: MemoryLedger;
  readonly cores: CoreTurns;
  /** What was found out before need not be tried again; grows by what is. */
  readonly experience: VersionExperience;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface SpreadInit {
  /** Bytes of the host's memory that one process is expected to take. */
  readonly processBytes: number;
  readonly loadMs: number;
  readonly signal: AbortSignal;
}

/** A version in as many processes as it gets, and what ends their hold on the memory. */
export interface SpreadVersion {
  readonly model: LoadedModel;
  /** To be called when all processes are gone. The first one's memory is not among it. */
  readonly release: () => void;
  /** How requests run together on them; undefined where that was not tried. */
  readonly batches?: BatchFinding | undefined;
}

/** Spreads versions over processes as it was found to pay. */
export class VersionInstances {
  readonly #components: VersionInstancesComponents;

  constructor(components: VersionInstancesComponents) {
    this.#components = components;
  }

  /** Threads to load the first process with; undefined for as many as it may have, where nothing is known yet. */
  threadsOf(cid: VersionCid, provider: string): number | undefined {
    return this.#known(cid, provider)?.layout?.threads;
  }

  /**
   * Adds processes to the one that is loaded. Never rejects but for the signal: a version that one process serves is served.
   * What is not part of the result is unloaded.
   */
  async spread(
    version: LoadableVersion,
    first: LoadedModel,
    init: SpreadInit,
  ): Promise<SpreadVersion> {
    // What does not compute on the CPU's cores has one process for each device.
    if (!(first instanceof ModelInstances)) return { model: first, release: () => {} };
    const { cid } = version;
    const leases: MemoryLease[] = [];
    const release = (): void => leases.forEach((lease) => lease.release());
    const load = async (threads: number): Promise<LoadedModel | undefined> =>
      this.#loadOne(version, { provider: first.provider, threads, leases, ...init });
    const known = this.#known(cid, first.provider);
    if (known?.layout !== undefined) {
      await this.#addKnown(first, known.layout, load);
      return { model: first, release, batches: known };
    }
    const { cores, experience, logger } = this.#components;
    const { model, finding } = await tryInstances(
      first,
      {
        deployment: resolveDeployment(version.manifest.deployment),
        cores: cores.total,
        loadMs: init.loadMs,
        signal: init.signal,
      },
      {
        load,
        instances: (one, threads) =>
          new ModelInstances(one, { turns: cores, version: cid, threads }),
      },
    );
    const { instances, threads, reason } = finding;
    const batches = { ...finding.batches, layout: { instances, threads } };
    experience.batches.add(cid, first.provider, batches, Date.now());
    logger.info({ cid, instances, threads, reason }, 'processes of the version chosen');
    return { model, release, batches };
  }

  #known(cid: VersionCid, provider: string): BatchFinding | undefined {
    return this.#components.experience.batches.get(cid, provider, Date.now());
  }

  async #addKnown(
    first: ModelInstances,
    { instances, threads }: InstanceLayout,
    load: (threads: number) => Promise<LoadedModel | undefined>,
  ): Promise<void> {
    const loads = Array.from({ length: instances - 1 }, async () => load(threads));
    for (const end of await Promise.allSettled(loads)) {
      if (end.status === 'fulfilled') first.add(end.value === undefined ? [] : [end.value]);
      else this.#components.logger.warn({ err: end.reason }, 'further process could not be loaded');
    }
  }

  async #loadOne(
    version: LoadableVersion,
    {
      provider,
      threads,
      leases,
      processBytes,
      signal,
    }: SpreadInit & {
      readonly provider: string;
      readonly threads: number;
      readonly leases: MemoryLease[];
    },
  ): Promise<LoadedModel | undefined> {
    const lease = await this.#reserve(version.cid, processBytes);
    if (lease === undefined) return undefined;
    try {
      const { session } = resolveDeployment(version.manifest.deployment);
      const derived = mayDerive(version.manifest);
      const load = { signal, session, threads, derived, providers: [provider] };
      const model = await this.#components.backend.load(filesOf(version), load);
      let hostBytes: number | null = null;
      lease.settle('host', () => {
        hostBytes = privateBytes(model.pid) ?? model.memoryBytes ?? hostBytes;
        return hostBytes;
      });
      model.onStateChange((state) => {
        if (state === 'unloaded') lease.release();
      });
      leases.push(lease);
      return model;
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /** Undefined when there is too little that is free: for one more process nobody leaves. */
  async #reserve(cid: VersionCid, bytes: number): Promise<MemoryLease | undefined> {
    const { ledger } = this.#components;
    if (bytes > ledger.freeBytes('host') * FREE_SHARE) return undefined;
    try {
      return await ledger.reserve(cid, [{ pool: 'host', bytes }], { evict: false });
    } catch (error) {
      if (isSwarmError(error)) return undefined;
      throw error;
    }
  }
}
