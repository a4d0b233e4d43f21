import os from 'node:os';
import { ConfigError } from '../../protocols/errors.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { hostMemoryBytes } from '../device/host-memory.ts';
import type { Isolation } from './isolation.ts';
import type { PrepackedCache } from './prepacked-cache.ts';

/** Milliseconds to load a model; the largest that one GPU holds, from a slow disk. */
const DEFAULT_LOAD_TIMEOUT_MS = 120_000;

/** Crashes that speak against a model, with no answer between, with which it is given up. */
const DEFAULT_MAX_CRASHES = 2;

/**
 * Milliseconds one run of a model with a loop may take: half of what others have until they are measured. How long it runs is
 * up to whoever sends the input, again and again, while every other caller of its version waits.
 */
export const DEFAULT_LOOP_LIMIT_MS = 5_000;

/** Added to the priority of models' processes: the process that answers peers comes first on a busy host. */
export const DEFAULT_NICENESS = 5;

/** Cores of this host that models may compute on where its owner says nothing: all but one, which stays for him and for the node itself. */
export function defaultMaxCores(): number {
  return Math.max(1, os.availableParallelism() - 1);
}

/** Execution providers to try, the best first; asked before each load, and bounds its own time. */
export type ProviderSource = (options: AbortOptions) => Promise<readonly string[]>;

export interface OnnxBackendInit {
  /**
   * Folder for the children's empty working directories, used by this backend alone and emptied when it starts.
   *
   * @default a new folder under the system's temporary files
   */
  readonly workDir?: string | undefined;
  /**
   * Execution providers to try for each model, the best first; one that fails to load it makes way for the next. A function
   * where they must be found out first.
   *
   * @default ['cpu']
   */
  readonly providers?: readonly string[] | ProviderSource | undefined;
  /** Which GPU, as the provider counts them. @default 0 */
  readonly deviceId?: number | undefined;
  /** Whether operators a provider lacks may run on the CPU; false refuses models that have such. @default true */
  readonly cpuFallback?: boolean | undefined;
  /** Threads inside one operator of one model. @default cores - 1, at least 1 */
  readonly threads?: number | undefined;
  /** Resident bytes of one model's process, 0 for no bound; past it the process is killed. @default 3/4 of the memory */
  readonly maxMemoryBytes?: number | undefined;
  /** Bytes of all outputs of one run. @default 1 GiB */
  readonly maxResponseBytes?: number | undefined;
  /** Milliseconds one load may take. @default 120000 */
  readonly loadTimeoutMs?: number | undefined;
  /** Crashes that speak against a model, with no answer between, with which its state is `failed`. @default 2 */
  readonly maxCrashes?: number | undefined;
  /** Added to the priority of models' processes, 0 to 19. @default 5 */
  readonly niceness?: number | undefined;
  /** Milliseconds one run of a model that can loop may take, within `RunOptions.limitMs`; 0 refuses such models. @default 5000 */
  readonly loopLimitMs?: number | undefined;
  /** Keeps models in the form that this host's processor takes as it is. @default models are loaded from their files */
  readonly prepackedCache?: PrepackedCache | undefined;
  /** How models' processes are shut in. @default as far as this host allows, found out at the first load */
  readonly isolation?: Isolation | undefined;
  /** Whether processes on this provider see the files of the host even where they can be confined. @default none does */
  readonly needsHostFiles?: ((provider: string) => boolean) | undefined;
}

/** {@link OnnxBackendInit} with the defaults filled in that need no look at the host. */
export type ResolvedOnnxInit = {
  readonly [Field in keyof Omit<OnnxBackendInit, Unset>]-?: NonNullable<OnnxBackendInit[Field]>;
} & Pick<OnnxBackendInit, Unset>;

type Unset = 'workDir' | 'isolation' | 'prepackedCache';

/**
 * Fills in defaults and checks ranges.
 *
 * @throws {ERR_CONFIG} naming the field that is wrong.
 */
export function resolveOnnxInit(init: OnnxBackendInit): ResolvedOnnxInit {
  const resolved: ResolvedOnnxInit = {
    workDir: init.workDir,
    providers: init.providers ?? ['cpu'],
    deviceId: init.deviceId ?? 0,
    cpuFallback: init.cpuFallback ?? true,
    threads: init.threads ?? defaultMaxCores(),
    maxMemoryBytes: init.maxMemoryBytes ?? Math.floor((hostMemoryBytes() * 3) / 4),
    maxResponseBytes: init.maxResponseBytes ?? MAX_BODY_BYTES,
    loadTimeoutMs: init.loadTimeoutMs ?? DEFAULT_LOAD_TIMEOUT_MS,
    maxCrashes: init.maxCrashes ?? DEFAULT_MAX_CRASHES,
    niceness: init.niceness ?? DEFAULT_NICENESS,
    loopLimitMs: init.loopLimitMs ?? DEFAULT_LOOP_LIMIT_MS,
    isolation: init.isolation,
    prepackedCache: init.prepackedCache,
    needsHostFiles: init.needsHostFiles ?? (() => false),
  };
  if (Array.isArray(resolved.providers) && resolved.providers.length === 0) {
    throw new ConfigError('providers is empty, expected at least one execution provider');
  }
  checkRange('deviceId', resolved.deviceId, 0, 1024);
  checkRange('threads', resolved.threads, 1, 1024);
  checkRange('maxMemoryBytes', resolved.maxMemoryBytes, 0, Number.MAX_SAFE_INTEGER);
  checkRange('maxResponseBytes', resolved.maxResponseBytes, 1, MAX_BODY_BYTES);
  checkRange('loadTimeoutMs', resolved.loadTimeoutMs, 1, 3_600_000);
  checkRange('maxCrashes', resolved.maxCrashes, 1, 1_000);
  checkRange('niceness', resolved.niceness, 0, 19);
  checkRange('loopLimitMs', resolved.loopLimitMs, 0, 3_600_000);
  return resolved;
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new ConfigError(`${field} is ${value}, expected an integer from ${min} to ${max}`);
}
