import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AnnouncedDevice } from '../../protocols/capacity/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { Isolation } from '../backend/isolation.ts';
import { describeCpu, MAX_DEVICE_NAME } from './cpu-device.ts';
import { hasGpuSign } from './gpu-sign.ts';
import { type NvidiaGpu, queryNvidiaGpus } from './nvidia-smi.ts';
import { type ProbeOutcome, probeKey, readProbeCache, writeProbeCache } from './probe-cache.ts';
import { firstDifference } from './probe-model.ts';
import { createProviderTrial, type ProviderTrial } from './provider-trial.ts';

/** Milliseconds a first load waits for the trials; what is not found by then is used from the next load on. */
export const PROVIDERS_WAIT_MS = 30_000;

/** Providers worth a trial, the fastest first; TensorRT is not, for it builds an engine for minutes at each load. */
const CANDIDATES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  win32: ['dml', 'cuda', 'webgpu'],
  darwin: ['coreml', 'webgpu'],
};
const OTHER_CANDIDATES = ['cuda', 'webgpu'];

export interface DeviceProberInit {
  /** Folder for `devices.json`, the outcomes of the last trials; must exist. */
  readonly cacheDir: string;
  /** Hears at level info what works and, with the reason, what does not. */
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** How trials' processes are shut in. @default as far as this host allows */
  readonly isolation?: Isolation | undefined;
}

/** What the prober looks at the host with. */
export interface DeviceProberComponents {
  readonly trial: ProviderTrial;
  readonly queryGpus: (options: AbortOptions) => Promise<readonly NvidiaGpu[]>;
  readonly hasGpuSign: () => Promise<boolean>;
}

/**
 * Finds out which execution providers really work on this host, each by running a small model on it.
 *
 * It takes seconds and blocks nothing: until it is done, the CPU is all there is.
 */
export class DeviceProber {
  readonly #init: DeviceProberInit;
  readonly #components: DeviceProberComponents;
  readonly #stopping = new AbortController();
  /** Settles as soon as {@link providers} need not wait any longer. */
  readonly #found = Promise.withResolvers<void>();
  #devices: readonly AnnouncedDevice[] = [describeCpu(['cpu'])];
  /** Execution providers to load models on, the best first. */
  #providers: readonly string[] = ['cpu'];
  #probing: Promise<void> | undefined;

  constructor(init: DeviceProberInit, components: Partial<DeviceProberComponents> = {}) {
    this.#init = init;
    this.#components = {
      trial: createProviderTrial(path.join(init.cacheDir, 'probe'), init.isolation),
      queryGpus: queryNvidiaGpus,
      hasGpuSign,
      ...components,
    };
  }

  /** As announced: each with the providers that work on it. */
  get devices(): readonly AnnouncedDevice[] {
    return this.#devices;
  }

  /** Begins; `onChange` is called when {@link devices} has changed. Twice is once. */
  start(onChange: () => void): void {
    this.#probing ??= this.#probe(onChange).finally(() => this.#found.resolve());
  }

  /** Settles when what {@link start} began is over; at once before it. */
  get settled(): Promise<void> {
    return this.#probing ?? Promise.resolve();
  }

  /** Ends what is under way and waits for its processes. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the node stops', 'AbortError'));
    this.#found.resolve();
    await this.settled;
  }

  /**
   * Execution providers to try for a model, the best first, `cpu` last. Waits for the trials, {@link PROVIDERS_WAIT_MS} at
   * most, and not at all on a host without a GPU.
   */
  async providers({ signal }: AbortOptions = {}): Promise<readonly string[]> {
    signal?.throwIfAborted();
    if (this.#probing === undefined) return this.#providers;
    const settled = new AbortController();
    const waiting =
      signal === undefined ? settled.signal : AbortSignal.any([signal, settled.signal]);
    try {
      await Promise.race([
        this.#found.promise,
        delay(PROVIDERS_WAIT_MS, undefined, { signal: waiting, ref: false }),
      ]);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      settled.abort();
    }
    return this.#providers;
  }

  async #probe(onChange: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { logger } = this.#init;
    try {
      const gpus = await this.#components.queryGpus({ signal });
      const gpuSeen = gpus.length > 0 || (await this.#components.hasGpuSign());
      // No load need wait for what a host without a GPU has nothing to gain from.
      if (!gpuSeen) this.#found.resolve();
      const outcomes = await this.#outcomes(gpus, gpuSeen, signal);
      const before = JSON.stringify(this.#devices);
      this.#conclude(outcomes, gpus[0]);
      if (JSON.stringify(this.#devices) !== before) onChange();
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, 'devices could not be probed');
    }
  }

  async #outcomes(
    gpus: readonly NvidiaGpu[],
    gpuSeen: boolean,
    signal: AbortSignal,
  ): Promise<readonly ProbeOutcome[]> {
    const file = path.join(this.#init.cacheDir, 'devices.json');
    const key = await probeKey(gpus, gpuSeen);
    const known = await readProbeCache(file, key, Date.now());
    if (known !== undefined) {
      this.#init.logger.info(
        { outcomes: known },
        'execution providers known from an earlier start',
      );
      return known;
    }
    const outcomes = await this.#tryAll(gpuSeen, signal);
    // A host on which not even the CPU works lacks the runtime: it is looked for again at each start.
    if (outcomes.every(({ provider, fault }) => provider !== 'cpu' || fault === null)) {
      await writeProbeCache(file, key, outcomes, Date.now());
    }
    return outcomes;
  }

  async #tryAll(gpuSeen: boolean, signal: AbortSignal): Promise<ProbeOutcome[]> {
    const { trial } = this.#components;
    const { logger } = this.#init;
    const outcomes: ProbeOutcome[] = [];
    let expected: Float32Array | undefined;
    let candidates = ['cpu'];
    for (let provider = candidates.shift(); provider !== undefined; provider = candidates.shift()) {
      signal.throwIfAborted();
      let fault: string | null = null;
      try {
        const { values, executeMs, runtimeProviders } = await trial(provider, signal);
        const different = firstDifference(values, expected ?? values);
        if (different !== undefined) {
          fault = `element ${different} is ${values[different]}, the CPU says ${expected?.[different]}`;
        } else if (expected === undefined) {
          expected = values;
          // Without a GPU a graphics API may still work, drawn by the CPU: 15 to 60 times slower than the CPU's own kernels.
          const worthwhile = gpuSeen ? (CANDIDATES[process.platform] ?? OTHER_CANDIDATES) : [];
          candidates = worthwhile.filter((name) => runtimeProviders.includes(name));
        }
        if (fault === null) logger.info({ provider, executeMs }, 'execution provider works');
      } catch (error) {
        signal.throwIfAborted();
        fault = error instanceof Error ? error.message : String(error);
      }
      if (fault !== null) {
        logger.info({ provider, reason: fault }, 'execution provider does not work here');
      }
      outcomes.push({ provider, fault });
    }
    return outcomes;
  }

  #conclude(outcomes: readonly ProbeOutcome[], gpu: NvidiaGpu | undefined): void {
    const working = outcomes.filter(({ fault }) => fault === null).map(({ provider }) => provider);
    const cpu = describeCpu(working.filter((provider) => provider === 'cpu'));
    const onGpu = working.filter((provider) => provider !== 'cpu');
    if (onGpu.length === 0) {
      this.#devices = [cpu];
      return;
    }
    this.#providers = [...onGpu, 'cpu'];
    const name = (gpu?.name ?? 'GPU').slice(0, MAX_DEVICE_NAME);
    const device = { kind: 'gpu', name, memoryBytes: gpu?.memoryBytes ?? null } as const;
    this.#devices = [{ ...device, providers: onGpu }, cpu];
  }
}
