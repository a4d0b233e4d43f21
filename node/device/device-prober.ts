import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AnnouncedDevice } from '../../protocols/capacity/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { Isolation } from '../backend/isolation.ts';
import { describeCpu } from './cpu-device.ts';
import { hasGpuSign } from './gpu-sign.ts';
import { GpuMemory, PINNED_PROVIDERS, visibleName } from './gpu-memory.ts';
import {
  type GpuProcess,
  type NvidiaGpu,
  queryGpuProcesses,
  queryNvidiaGpus,
  visibleGpus,
} from './nvidia-smi.ts';
import { type ProbeOutcome, probeKey, readProbeCache, writeProbeCache } from './probe-cache.ts';
import { firstDifference } from './probe-model.ts';
import { createProviderTrial, type ProviderTrial, type TrialResult } from './provider-trial.ts';

/** Milliseconds a first load waits for the trials; what is not found by then is used from the next load on. */
const PROVIDERS_WAIT_MS = 30_000;

/** Providers worth a trial, the best first; TensorRT comes last, for it runs what asks for it alone. */
const CANDIDATES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  win32: ['dml', 'cuda', 'webgpu', 'tensorrt'],
  darwin: ['coreml', 'webgpu'],
};
const OTHER_CANDIDATES = ['cuda', 'webgpu', 'tensorrt'];

/** Milliseconds between two looks at how full and busy the GPUs are. */
const LOOK_INTERVAL_MS = 5_000;

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
  readonly queryProcesses: (options: AbortOptions) => Promise<readonly GpuProcess[] | null>;
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
  /** The NVIDIA GPUs that models may run on. */
  readonly gpus: GpuMemory = new GpuMemory();
  /** All but {@link gpus}. */
  #devices: readonly AnnouncedDevice[] = [describeCpu(['cpu'])];
  /** Execution providers to load models on, the best first. */
  #providers: readonly string[] = ['cpu'];
  readonly #hostFiles = new Set<string>();
  #probing: Promise<void> | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(init: DeviceProberInit, components: Partial<DeviceProberComponents> = {}) {
    this.#init = init;
    this.#components = {
      trial: createProviderTrial(path.join(init.cacheDir, 'probe'), init.isolation),
      queryGpus: async (options) =>
        visibleGpus(await queryNvidiaGpus(options), process.env['CUDA_VISIBLE_DEVICES']),
      queryProcesses: queryGpuProcesses,
      hasGpuSign,
      ...components,
    };
  }

  /** As announced: each with the providers that work on it. */
  get devices(): readonly AnnouncedDevice[] {
    return [...this.gpus.devices, ...this.#devices];
  }

  /** Whether models on this provider must see the files of the host. */
  needsHostFiles(provider: string): boolean {
    return this.#hostFiles.has(provider);
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
    await this.#looking;
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
      const before = JSON.stringify(this.devices);
      this.#conclude(outcomes, gpus);
      if (JSON.stringify(this.devices) !== before) onChange();
      if (this.gpus.pools.length > 0) this.#looking = this.#look(signal);
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
    const outcomes = await this.#tryAll(gpus, gpuSeen, signal);
    // A host on which not even the CPU works lacks the runtime: it is looked for again at each start.
    if (outcomes.every(({ provider, fault }) => provider !== 'cpu' || fault === null)) {
      await writeProbeCache(file, key, outcomes, Date.now());
    }
    return outcomes;
  }

  async #tryAll(
    gpus: readonly NvidiaGpu[],
    gpuSeen: boolean,
    signal: AbortSignal,
  ): Promise<ProbeOutcome[]> {
    const cpu = await this.#tryOne({ provider: 'cpu' }, undefined, signal);
    const outcomes = [cpu.outcome];
    // Without a GPU a graphics API may still work, drawn by the CPU: 15 to 60 times slower than the CPU's own kernels.
    if (!gpuSeen || cpu.result === undefined) return outcomes;
    const { values, runtimeProviders } = cpu.result;
    for (const provider of CANDIDATES[process.platform] ?? OTHER_CANDIDATES) {
      if (!runtimeProviders.includes(provider)) continue;
      // One GPU may be older than another, or broken: each is tried.
      const several = PINNED_PROVIDERS.has(provider) && gpus.length > 1;
      for (const gpu of several ? gpus.map(visibleName) : [undefined]) {
        const { outcome } = await this.#tryOne({ provider, gpu }, values, signal);
        outcomes.push(outcome);
      }
    }
    return outcomes;
  }

  async #tryOne(
    { provider, gpu }: Pick<ProbeOutcome, 'provider' | 'gpu'>,
    expected: Float32Array | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly outcome: ProbeOutcome; readonly result: TrialResult | undefined }> {
    const { logger } = this.#init;
    const on = gpu === undefined ? {} : { gpu };
    signal.throwIfAborted();
    let fault: string;
    try {
      const { result, ...files } = await this.#tried(provider, signal, gpu);
      const { values, executeMs } = result;
      const different = firstDifference(values, expected ?? values);
      if (different === undefined) {
        logger.info({ provider, ...on, executeMs }, 'execution provider works');
        return { outcome: { provider, fault: null, ...on, ...files }, result };
      }
      fault = `element ${different} is ${values[different]}, the CPU says ${expected?.[different]}`;
    } catch (error) {
      signal.throwIfAborted();
      fault = error instanceof Error ? error.message : String(error);
    }
    // Without the CPU no model runs here at all.
    const level = provider === 'cpu' ? 'warn' : 'info';
    logger[level]({ provider, ...on, reason: fault }, 'execution provider does not work here');
    return { outcome: { provider, fault, ...on }, result: undefined };
  }

  /** Drivers may want files that a confined process has not: what fails in there is tried with those of the host. */
  async #tried(
    provider: string,
    signal: AbortSignal,
    gpu: string | undefined,
  ): Promise<{ readonly result: TrialResult; readonly files?: 'host' }> {
    const { trial } = this.#components;
    try {
      return { result: await trial(provider, signal, gpu) };
    } catch (error) {
      signal.throwIfAborted();
      const { isolation, logger } = this.#init;
      if (provider === 'cpu' || isolation?.confine === undefined) throw error;
      const result = await trial(provider, signal, gpu, true);
      logger.warn(
        { provider, err: error },
        'execution provider works with the files of the host only',
      );
      return { result, files: 'host' };
    }
  }

  #conclude(outcomes: readonly ProbeOutcome[], gpus: readonly NvidiaGpu[]): void {
    const working = outcomes.filter(({ fault }) => fault === null);
    for (const { provider, files } of working) if (files === 'host') this.#hostFiles.add(provider);
    const providers = [...new Set(working.map(({ provider }) => provider))];
    const cpu = describeCpu(providers.filter((provider) => provider === 'cpu'));
    const onGpu = providers.filter((provider) => provider !== 'cpu');
    this.#devices = [cpu];
    if (onGpu.length === 0) return;
    this.#providers = [...onGpu, 'cpu'];
    if (gpus.length === 0) {
      this.#devices = [{ kind: 'gpu', name: 'GPU', memoryBytes: null, providers: onGpu }, cpu];
      return;
    }
    // What cannot be pinned takes the first GPU.
    const works = (provider: string, gpu: NvidiaGpu): boolean =>
      PINNED_PROVIDERS.has(provider) && gpus.length > 1
        ? working.some((one) => one.provider === provider && one.gpu === visibleName(gpu))
        : gpu === gpus[0];
    this.gpus.found(
      gpus
        .map((gpu) => ({ gpu, providers: onGpu.filter((provider) => works(provider, gpu)) }))
        .filter((one) => one.providers.length > 0),
    );
  }

  /** Looks at the GPUs again and again, for as long as the prober lives. */
  async #look(signal: AbortSignal): Promise<void> {
    const { queryGpus, queryProcesses } = this.#components;
    while (!signal.aborted) {
      const processes = await queryProcesses({ signal });
      if (!signal.aborted) this.gpus.looked(await queryGpus({ signal }), processes);
      await delay(LOOK_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => {
        // Stopped: the loop ends.
      });
    }
  }
}
