import { isSwarmError } from '../../protocols/errors.ts';
import {
  DEFAULT_TOLERANCE,
  type ResolvedDeployment,
  type Tolerance,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { elementsOf, type NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import type { InstanceLayout } from '../../src/policy/instance-layout.ts';
import {
  describeOutputDifference,
  findOutputDifference,
} from '../../src/policy/output-comparison.ts';
import type { RunTiming } from '../../src/policy/service-time.ts';
import type { LoadedModel, RunResult } from '../backend/backend.ts';
import { joinTensors, splitTensors } from './batch-tensors.ts';
import { seededRows } from './seeded-rows.ts';

/** Milliseconds the probe may take after its first run: a version that is slow to run gets small batches, not a late start. */
const PROBE_MS = 1_500;

/** Rows tried at most where the manifest sets no bound: beyond them no model here has gained. */
const MAX_ROWS = 64;

/** Elements of one batch's inputs. */
const MAX_ELEMENTS = 16 * 1024 * 1024;

/** What twice the rows must save of the time for each, to be worth the longer wait of the first. */
const MIN_GAIN = 0.1;

/** Milliseconds one run may take, as golden vectors may: a slow model must not be killed for being tried. */
const LIMIT_MS = 60_000;

/**
 * Milliseconds that a run costs besides the model's own: a call of an empty model, measured. What the input takes on its way is no
 * part of it, for under load the next one comes while the model runs.
 */
const RUN_COST_MS = 0.1;

/** Runs of each size; the best counts, for others use this machine too. */
const RUNS = 3;

/** Rows that requests may run in together, and why no more. */
export interface BatchFinding {
  readonly maxRows: number;
  readonly reason: string;
  /** False when the probe's time was over first, or the model failed: another try may find out more. */
  readonly finished: boolean;
  /** The best run of each size that was tried, the model being warm. */
  readonly timings: readonly RunTiming[];
  /** In how many processes, with how many threads each, the version then did most; absent where it has but one. */
  readonly layout?: InstanceLayout | undefined;
}

export type ProbedDeployment = Pick<
  ResolvedDeployment,
  'maxBatch' | 'batchDimension' | 'latencyObjectiveMs'
>;

/**
 * Finds out by running it in how many rows a model may run requests together: whether the rows of a batch are answered as each
 * alone, and up to which size that is faster. Never rejects: a model that cannot be tried runs its requests one by one.
 */
export async function probeBatching(
  model: LoadedModel,
  deployment: ProbedDeployment,
  signal: AbortSignal,
): Promise<BatchFinding> {
  const { maxBatch, batchDimension: axis } = deployment;
  if (maxBatch === 1) return alone('the manifest wants none');
  const fixed = [...model.inputs, ...model.outputs].find(({ shape }) => !isFree(shape[axis]));
  if (fixed !== undefined) {
    return alone(`dimension ${axis} of ${quoted(fixed.name)} is not free`);
  }
  if (model.inputs.length === 0) return alone('it has no inputs');
  try {
    return await new BatchProbe(model, deployment, signal).run();
  } catch (error) {
    return { ...alone(error instanceof Error ? error.message : String(error)), finished: false };
  }
}

/** A request of one row, and the answer to it alone. */
interface TriedRow {
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
}

/** The probe's time would be over before the next run is. */
class ProbeOver extends Error {
  constructor() {
    super(`more would take longer than ${PROBE_MS} ms`);
  }
}

class BatchProbe {
  readonly #model: LoadedModel;
  readonly #deployment: ProbedDeployment;
  readonly #signal: AbortSignal;
  /** What one row takes: assumed of each further one too, until it is known better. */
  #rowMs = 0;
  readonly #timings: RunTiming[] = [];
  #endsAtMs = Number.POSITIVE_INFINITY;

  constructor(model: LoadedModel, deployment: ProbedDeployment, signal: AbortSignal) {
    this.#model = model;
    this.#deployment = deployment;
    this.#signal = signal;
  }

  async run(): Promise<BatchFinding> {
    const rows = await this.#rows();
    if (rows === undefined) return alone('it takes no made-up inputs');
    const different = await this.#difference(rows);
    if (different !== undefined) return alone(`in a batch ${different}`);
    return this.#grow(rows[0].inputs);
  }

  /** Two requests of one row each, of one form, that the model takes. */
  async #rows(): Promise<readonly [TriedRow, TriedRow] | undefined> {
    const { batchDimension: axis } = this.#deployment;
    const init = { axis, seeds: [1, 2], maxElements: MAX_ELEMENTS };
    for (const [first = [], second = []] of seededRows(this.#model.inputs, init)) {
      const startedAtMs = performance.now();
      try {
        const outputs = await this.#answers(first, 1);
        this.#rowMs = performance.now() - startedAtMs;
        this.#endsAtMs = performance.now() + PROBE_MS;
        return [
          { inputs: first, outputs },
          { inputs: second, outputs: await this.#answers(second, 1) },
        ];
      } catch (error) {
        if (!isRefusal(error) || performance.now() - startedAtMs > PROBE_MS) throw error;
      }
    }
    return undefined;
  }

  /** How the answer to one of two in a batch differs from the answer to it alone, in words. */
  async #difference(rows: readonly TriedRow[]): Promise<string | undefined> {
    const { batchDimension: axis } = this.#deployment;
    const inputs = joinTensors(
      rows.map((row) => row.inputs),
      axis,
    );
    const together = await this.#answers(inputs, rows.length);
    const ones = rows.map(() => 1);
    const split = splitTensors(together, ones, axis);
    if (split === undefined) return 'outputs do not have the rows of the inputs';
    for (const [index, { outputs }] of rows.entries()) {
      const tolerance = toleranceFor(outputs);
      const difference = findOutputDifference(outputs, split[index] ?? [], () => tolerance);
      if (difference !== undefined) return describeOutputDifference(difference);
    }
    return undefined;
  }

  /** Doubles the rows while each takes less time than before; one size that gains nothing may be a disturbance, two are not. */
  async #grow(row: readonly NamedTensor[]): Promise<BatchFinding> {
    const { maxBatch } = this.#deployment;
    const bound = Math.min(maxBatch ?? MAX_ROWS, MAX_ELEMENTS / Math.max(1, elementsOf(row)));
    const best = { rows: 1, rowMs: this.#rowMs };
    const timings = this.#timings;
    const found = (reason: string, finished = true): BatchFinding => {
      return { maxRows: best.rows, reason, finished, timings };
    };
    try {
      best.rowMs = (await this.#time(row, 1)).workMs;
      for (let rows = 2; rows <= bound; rows *= 2) {
        const { batchMs, workMs } = await this.#time(row, rows);
        const { latencyObjectiveMs } = this.#deployment;
        if (latencyObjectiveMs !== null && batchMs > latencyObjectiveMs) {
          return found(`${rows} rows take longer than the objective of ${latencyObjectiveMs} ms`);
        }
        if (workMs / rows <= best.rowMs * (1 - MIN_GAIN)) {
          best.rows = rows;
          best.rowMs = workMs / rows;
          this.#rowMs = batchMs / rows;
        } else if (rows > 2 * best.rows) {
          return found(`more rows gain less than ${100 * MIN_GAIN} %`);
        }
      }
    } catch (error) {
      if (!(error instanceof ProbeOver)) throw error;
      return found(error.message, false);
    }
    return found(`${bound} are the bound`);
  }

  /** What so many rows take from call to answer, and what the process has to do for them. */
  async #time(
    row: readonly NamedTensor[],
    rows: number,
  ): Promise<{ readonly batchMs: number; readonly workMs: number }> {
    const batch = Array.from({ length: rows }, () => row);
    const inputs = joinTensors(batch, this.#deployment.batchDimension);
    let [batchMs, workMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let run = 0; run < RUNS; run += 1) {
      const startedAtMs = performance.now();
      const { executeMs } = await this.#run(inputs, rows);
      batchMs = Math.min(batchMs, performance.now() - startedAtMs);
      workMs = Math.min(workMs, executeMs + RUN_COST_MS);
    }
    this.#timings.push({ elements: Math.max(1, elementsOf(inputs)), ms: batchMs });
    return { batchMs, workMs };
  }

  /** A run cannot be called back, so one that should end too late is not begun. */
  async #run(inputs: readonly NamedTensor[], rows: number): Promise<RunResult> {
    if (performance.now() + rows * this.#rowMs > this.#endsAtMs) throw new ProbeOver();
    const options = { limitMs: LIMIT_MS, signal: this.#signal };
    return this.#model.run(inputs, options);
  }

  async #answers(inputs: readonly NamedTensor[], rows: number): Promise<readonly NamedTensor[]> {
    return (await this.#run(inputs, rows)).outputs;
  }
}

function isFree(dimension: TensorSpec['shape'][number] | undefined): boolean {
  return dimension === null || typeof dimension === 'string';
}

/** True when the model does not take such inputs, and others may do. */
function isRefusal(error: unknown): boolean {
  return isSwarmError(error) && ['ERR_INVALID_INPUT', 'ERR_EXECUTION'].includes(error.code);
}

/** Of the answer's own scale: a thousandth says nothing of numbers that are all smaller. */
function toleranceFor(expected: readonly NamedTensor[]): Tolerance {
  let largest = 0;
  for (const { tensor } of expected) {
    if (!tensor.datatype.startsWith('FP')) continue;
    for (const value of tensor.toArray() as number[]) {
      if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
    }
  }
  const { absolute, relative } = DEFAULT_TOLERANCE;
  return { absolute: absolute * Math.min(1, largest), relative };
}

function alone(reason: string): BatchFinding {
  return { maxRows: 1, reason, finished: true, timings: [] };
}
