import { parentOf } from './device/process-memory.ts';
import type { GpuProcess } from './device/nvidia-smi.ts';
import { isServing, type ServingHours } from '../src/policy/serving-hours.ts';
import { Yielding } from '../src/policy/yielding.ts';
import type { NodePause } from './node-pause.ts';

/** Milliseconds between two looks at the clock and at who uses the GPUs. */
const LOOK_INTERVAL_MS = 5_000;

export interface OwnerWatchInit {
  /** When the node serves, by the host's local time; undefined for always. */
  readonly hours: ServingHours | undefined;
  /** Whether it pauses while another program computes on a GPU. */
  readonly yieldGpu: boolean;
}

export interface OwnerWatchComponents {
  readonly pause: Pick<NodePause, 'set'>;
  /** Processes that compute on a GPU, as last seen. */
  readonly gpuProcesses: () => readonly GpuProcess[];
  /** @default the host's clock */
  readonly now?: (() => Date) | undefined;
  /** Parent of a process; null when it is not known. @default as the system says */
  readonly parentOf?: ((pid: number) => number | null) | undefined;
}

/** Keeps the node out of its owner's way: within his hours, and off a GPU that he uses himself. */
export class OwnerWatch {
  readonly #init: OwnerWatchInit;
  readonly #components: OwnerWatchComponents;
  readonly #yielding = new Yielding();
  #timer: NodeJS.Timeout | undefined;

  constructor(components: OwnerWatchComponents, init: OwnerWatchInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Looks at once, then every few seconds. Twice is once. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Pauses or resumes the node by what is so now. */
  look(): void {
    const { hours, yieldGpu } = this.#init;
    const { pause, now = () => new Date() } = this.#components;
    if (hours !== undefined) {
      const time = now();
      const serves = isServing(hours, time.getHours() * 60 + time.getMinutes());
      pause.set('hours', serves ? undefined : 'outside the hours in which it serves');
    }
    if (!yieldGpu) return;
    const other = this.#components.gpuProcesses().find(({ pid }) => this.#isForeign(pid));
    if (this.#yielding.look(other !== undefined)) {
      pause.set('yield', 'another program uses its GPU');
    } else pause.set('yield', undefined);
  }

  /** A process whose parent is not known is one that this system does not show, as from inside a container: no reason to stop. */
  #isForeign(pid: number): boolean {
    const parent = (this.#components.parentOf ?? parentOf)(pid);
    return parent !== null && parent !== process.pid && pid !== process.pid;
  }
}
