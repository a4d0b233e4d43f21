import type { AnnouncedDevice } from '../../protocols/capacity/index.ts';
import type { MemoryPool } from '../../src/policy/memory-budget.ts';
import { MAX_DEVICE_NAME } from './cpu-device.ts';
import type { GpuProcess, NvidiaGpu } from './nvidia-smi.ts';

/** Of a GPU's memory, what models may take: the rest is the driver's, and the screen's. */
const MODELS_SHARE = 0.95;

/** Characters of what {@link GpuMemory.describe} says. */
const MAX_DEVICE_TEXT = 400;

/** Execution providers that `CUDA_VISIBLE_DEVICES` pins to one GPU. */
export const PINNED_PROVIDERS: ReadonlySet<string> = new Set(['cuda', 'tensorrt']);

/** A GPU and the execution providers that were seen to work on it. */
export interface WorkingGpu {
  readonly gpu: NvidiaGpu;
  readonly providers: readonly string[];
}

interface Slot extends WorkingGpu {
  /** Name of its memory pool: `gpu0`, `gpu1`, … */
  readonly id: string;
}

/** The NVIDIA GPUs that models may run on, and what the last look at them found. */
export class GpuMemory {
  #slots: readonly Slot[] = [];
  #processes: readonly GpuProcess[] = [];

  /** Takes in which GPUs there are. */
  found(gpus: readonly WorkingGpu[]): void {
    this.#slots = gpus.map((gpu, position) => ({ ...gpu, id: `gpu${position}` }));
  }

  /** Takes in a new look at them; a GPU that it does not show keeps its name and has unknown figures. */
  looked(gpus: readonly NvidiaGpu[], processes: readonly GpuProcess[] | null): void {
    this.#slots = this.#slots.map((slot) => {
      const seen = gpus.find(({ uuid }) => uuid === slot.gpu.uuid);
      const { freeBytes = null, busyPercent = null } = seen ?? {};
      return { ...slot, gpu: { ...slot.gpu, freeBytes, busyPercent } };
    });
    this.#processes = processes ?? [];
  }

  get pools(): MemoryPool[] {
    return this.#slots.map(({ id, gpu: { memoryBytes, freeBytes } }) => ({
      id,
      totalBytes: memoryBytes === null ? null : Math.floor(memoryBytes * MODELS_SHARE),
      availableBytes: freeBytes,
    }));
  }

  /** As announced. */
  get devices(): AnnouncedDevice[] {
    return this.#slots.map(({ gpu, providers }) => ({
      kind: 'gpu',
      name: gpu.name.slice(0, MAX_DEVICE_NAME),
      memoryBytes: gpu.memoryBytes,
      providers,
      ...(gpu.freeBytes === null ? {} : { freeBytes: gpu.freeBytes }),
      ...(gpu.busyPercent === null ? {} : { busyPercent: gpu.busyPercent }),
    }));
  }

  /** Processes that compute on any GPU of the host, as last seen. */
  get processes(): readonly GpuProcess[] {
    return this.#processes;
  }

  /** Pools that a model on this provider may lie in; none where the provider is not pinned to a GPU, or no GPU is known. */
  poolsOf(provider: string): string[] {
    if (!PINNED_PROVIDERS.has(provider)) return [];
    return this.#slots.flatMap(({ id, providers }) => (providers.includes(provider) ? [id] : []));
  }

  /** How a child is told its only GPU; undefined for none. */
  pinOf(pool: string | null): string | undefined {
    const gpu = this.#slots.find(({ id }) => id === pool)?.gpu;
    return gpu === undefined ? undefined : visibleName(gpu);
  }

  /** What a model runs on, in words; where it is not pinned to the GPU of a pool, all that it may run on. */
  describe(provider: string, pool: string | null): string {
    if (provider === 'cpu') return provider;
    const gpus = this.#slots.filter(({ id }) => pool === null || id === pool);
    const words = gpus.map(({ gpu }) => `${gpu.name} (driver ${gpu.driverVersion})`);
    return `${provider} on ${words.join(', ') || 'a GPU'}`.slice(0, MAX_DEVICE_TEXT);
  }

  /** GPU memory of a process; null when the driver does not say, as for those in another container. */
  bytesOf(pid: number | undefined): number | null {
    return this.#processes.find((known) => known.pid === pid)?.memoryBytes ?? null;
  }
}

/** How `CUDA_VISIBLE_DEVICES` names a GPU: an index would mean another one to a process that sees only some. */
export function visibleName({ uuid, index }: NvidiaGpu): string {
  return uuid ?? String(index);
}
