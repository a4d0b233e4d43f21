import type { RunWork } from '../../src/policy/admission.ts';
import type { LoadedModel } from '../backend/backend.ts';
import type { Clock } from './clock.ts';

/** A place in the model, from the moment a batch is handed in until each of its requests has its answer. */
export interface RunUnderWay {
  readonly requests: number;
  /** What it is expected to take; null when nothing was measured yet. */
  expectedMs: number | null;
  /** When it began; undefined while it lies ready behind another. */
  beganAtMs: number | undefined;
}

/** What a model was given and has not answered yet. A run that was abandoned counts: it holds its place. */
export class RunsUnderWay {
  readonly #model: Pick<LoadedModel, 'parallel' | 'ahead'>;
  readonly #clock: Clock;
  readonly #runs: RunUnderWay[] = [];

  constructor(model: Pick<LoadedModel, 'parallel' | 'ahead'>, clock: Clock) {
    this.#model = model;
    this.#clock = clock;
  }

  /** Runs that execute at the same time. */
  get parallel(): number {
    return this.#model.parallel ?? 1;
  }

  get count(): number {
    return this.#runs.length;
  }

  /** True while a run that is handed in begins at once. */
  get hasFreePlace(): boolean {
    return this.count < this.parallel;
  }

  /** True while no place is free and one more run may be handed in to lie ready. */
  get takesAhead(): boolean {
    return !this.hasFreePlace && this.count < this.parallel + (this.#model.ahead ?? 0);
  }

  get requests(): number {
    let requests = 0;
    for (const run of this.#runs) requests += run.requests;
    return requests;
  }

  add(requests: number): RunUnderWay {
    const run: RunUnderWay = { requests, expectedMs: null, beganAtMs: undefined };
    this.#runs.push(run);
    return run;
  }

  remove(run: RunUnderWay): void {
    const index = this.#runs.indexOf(run);
    if (index >= 0) this.#runs.splice(index, 1);
  }

  /** What is expected of each and how much of it is over. */
  work(): RunWork[] {
    const nowMs = this.#clock.nowMs();
    return this.#runs.map(({ expectedMs, beganAtMs }) => ({
      expectedMs,
      runningMs: beganAtMs === undefined ? 0 : nowMs - beganAtMs,
    }));
  }

  /** Milliseconds until one more that is handed in should begin; null when that is unknown. */
  beginsInMs(): number | null {
    const nowMs = this.#clock.nowMs();
    const restsMs: number[] = [];
    const readyMs: number[] = [];
    for (const { expectedMs, beganAtMs } of this.#runs) {
      if (expectedMs === null) return null;
      if (beganAtMs === undefined) readyMs.push(expectedMs);
      else restsMs.push(Math.max(0, beganAtMs + expectedMs - nowMs));
    }
    while (restsMs.length < this.parallel) restsMs.push(0);
    // Each goes to the place that is free first.
    for (const expectedMs of readyMs) restsMs.push(takeLeast(restsMs) + expectedMs);
    return Math.min(...restsMs);
  }
}

function takeLeast(values: number[]): number {
  const [least = 0] = values.splice(values.indexOf(Math.min(...values)), 1);
  return least;
}
