import { DeadlineError, isSwarmError } from '../../protocols/errors.ts';
import type { ResolvedDeployment } from '../../protocols/manifest/index.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import {
  type InstanceLayout,
  morePays,
  oneThreadDoes,
  spreadPays,
} from '../../src/policy/instance-layout.ts';
import type { LoadedModel } from '../backend/backend.ts';
import type { ModelInstances } from '../backend/model-instances.ts';
import { type BatchFinding, probeBatching } from '../scheduler/batch-probe.ts';
import { joinTensors } from '../scheduler/batch-tensors.ts';
import { seededRows } from '../scheduler/seeded-rows.ts';

/** Milliseconds of the whole trial: what would be found out later is not worth that a version is not ready. */
const TRIAL_MS = 12_000;

/** Milliseconds for which one number of processes is kept busy. */
const MEASURE_MS = 400;

/** Processes of one version at most, however many cores there are. */
const MAX_INSTANCES = 32;

/** Elements of one batch's inputs. */
const MAX_ELEMENTS = 16 * 1024 * 1024;

/** Milliseconds one run may take, as golden vectors may. */
const LIMIT_MS = 60_000;

/** What was found out, and why no more. */
export interface InstanceFinding extends InstanceLayout {
  readonly reason: string;
  /** How requests run together on one of these processes. */
  readonly batches: BatchFinding;
}

/** What serves, and why it is so much. */
export interface TriedInstances {
  readonly model: ModelInstances;
  readonly finding: InstanceFinding;
}

export interface InstanceTrialInit {
  readonly deployment: ResolvedDeployment;
  /** Cores that models of this node may compute on. */
  readonly cores: number;
  /** Milliseconds that the first process took to load. */
  readonly loadMs: number;
  readonly signal: AbortSignal;
}

export interface InstanceTrialComponents {
  /** One more process with so many threads; undefined when there is no memory for it. */
  readonly load: (threads: number) => Promise<LoadedModel | undefined>;
  /** Makes one model of a process, with the cores it takes. */
  readonly instances: (first: LoadedModel, threads: number) => ModelInstances;
}

/**
 * Finds out by trying in how many processes a version does most: in one with all threads, as it comes, or in several of one thread
 * each. Never rejects but for the signal: what cannot be tried stays as it is.
 *
 * @param wide one process with as many threads as a version may have; unloaded when it is not what is returned
 */
export async function tryInstances(
  wide: ModelInstances,
  init: InstanceTrialInit,
  components: InstanceTrialComponents,
): Promise<TriedInstances> {
  const batches = await probeBatching(wide, init.deployment, init.signal);
  const trial = new InstanceTrial(wide, batches, init, components);
  try {
    return await trial.run();
  } catch (error) {
    init.signal.throwIfAborted();
    await trial.giveUp();
    return trial.asItComes(error instanceof Error ? error.message : String(error));
  }
}

class InstanceTrial {
  readonly #wide: ModelInstances;
  readonly #batches: BatchFinding;
  readonly #init: InstanceTrialInit;
  readonly #components: InstanceTrialComponents;
  readonly #endsAtMs = performance.now() + TRIAL_MS;
  /** Processes of one thread; {@link #wide} itself where that is what it has. */
  #narrow: ModelInstances | undefined;
  /** What the last run took: assumed of the next one. */
  #runMs = 0;

  constructor(
    wide: ModelInstances,
    batches: BatchFinding,
    init: InstanceTrialInit,
    components: InstanceTrialComponents,
  ) {
    this.#wide = wide;
    this.#batches = batches;
    this.#init = init;
    this.#components = components;
  }

  async run(): Promise<TriedInstances> {
    const most = Math.min(this.#init.cores, MAX_INSTANCES);
    if (most === 1) return this.asItComes('models may use one core');
    if (!this.#hasTime()) return this.asItComes('it takes too long to load for a trial');
    if (this.#wide.threads === 1) {
      const reason = await this.#grow(this.#wide, this.#batches, most);
      return this.#end(this.#wide, this.#batches, reason);
    }
    return this.#compare(most);
  }

  /** What there was before the trial. */
  asItComes(reason: string): TriedInstances {
    return this.#end(this.#wide, this.#batches, reason);
  }

  /** Ends what the trial has begun. */
  async giveUp(): Promise<void> {
    await this.#wide.shrink(1);
    if (this.#narrow !== this.#wide) await this.#narrow?.unload();
  }

  /** One process of all threads against several of one. */
  async #compare(most: number): Promise<TriedInstances> {
    const { deployment, signal } = this.#init;
    const first = await this.#components.load(1);
    if (first === undefined) return this.asItComes('there is no memory for more processes');
    const narrow = this.#components.instances(first, 1);
    this.#narrow = narrow;
    const batches = await probeBatching(narrow, deployment, signal);
    const aloneTimes = {
      wideMs: await this.#aloneMs(this.#wide),
      narrowMs: await this.#aloneMs(narrow),
      objectiveMs: deployment.latencyObjectiveMs,
    };
    if (!oneThreadDoes(aloneTimes)) {
      await this.giveUp();
      const { wideMs, narrowMs } = aloneTimes;
      return this.asItComes(
        `who asks alone would wait ${narrowMs.toFixed(1)} ms instead of ${wideMs.toFixed(1)}`,
      );
    }
    const widePerSecond = await this.#perSecond(this.#wide, this.#batches.maxRows);
    const reason = await this.#grow(narrow, batches, most);
    const narrowPerSecond = await this.#perSecond(narrow, batches.maxRows);
    if (!spreadPays(widePerSecond, narrowPerSecond)) {
      await this.giveUp();
      return this.asItComes(
        `${narrow.size} processes do ${Math.round(narrowPerSecond)} rows/s, one ${Math.round(widePerSecond)}`,
      );
    }
    await this.#wide.unload();
    return this.#end(narrow, batches, reason);
  }

  /** Doubles the processes while that pays, and says why no more. */
  async #grow(model: ModelInstances, { maxRows }: BatchFinding, most: number): Promise<string> {
    this.#narrow = model;
    let before = { instances: model.size, perSecond: await this.#perSecond(model, maxRows) };
    while (model.size < most) {
      if (!this.#hasTime()) return `more would take longer than ${TRIAL_MS} ms to try`;
      const wanted = Math.min(most, 2 * model.size) - model.size;
      const loads = Array.from({ length: wanted }, () => this.#components.load(1));
      const ends = await Promise.allSettled(loads);
      const more = ends.flatMap((end) => (end.status === 'fulfilled' ? (end.value ?? []) : []));
      model.add(more);
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
      if (more.length === 0) return 'there is no memory for more processes';
      const after = { instances: model.size, perSecond: await this.#perSecond(model, maxRows) };
      if (!morePays(before, after)) {
        await model.shrink(before.instances);
        return `${after.instances} processes do ${Math.round(after.perSecond)} rows/s, ${before.instances} ${Math.round(before.perSecond)}`;
      }
      if (more.length < wanted) return 'there is no memory for more processes';
      before = after;
    }
    return `${most} cores are the bound`;
  }

  #end(model: ModelInstances, batches: BatchFinding, reason: string): TriedInstances {
    const { size: instances, threads } = model;
    return { model, finding: { instances, threads, reason, batches } };
  }

  #hasTime(): boolean {
    return performance.now() + this.#init.loadMs + MEASURE_MS <= this.#endsAtMs;
  }

  /** Milliseconds of one request alone, the best of three. */
  async #aloneMs(model: ModelInstances): Promise<number> {
    const inputs = await this.#inputs(model, 1);
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 3; run += 1) {
      const startedAtMs = performance.now();
      await this.#answer(model, inputs);
      best = Math.min(best, performance.now() - startedAtMs);
    }
    return best;
  }

  /** Rows that get done in a second when all processes have always something to do. */
  async #perSecond(model: ModelInstances, rows: number): Promise<number> {
    const inputs = await this.#inputs(model, rows);
    const startedAtMs = performance.now();
    let done = 0;
    const keepBusy = async (): Promise<void> => {
      while (performance.now() - startedAtMs < MEASURE_MS) {
        await this.#answer(model, inputs);
        done += 1;
      }
    };
    await Promise.all(Array.from({ length: model.size }, keepBusy));
    return (rows * done * 1000) / (performance.now() - startedAtMs);
  }

  /** So many rows that the model takes; they have run once in each process, so that it is warm. */
  async #inputs(model: ModelInstances, rows: number): Promise<readonly NamedTensor[]> {
    const axis = this.#init.deployment.batchDimension;
    let failure: unknown = new TypeError('it takes no made-up inputs');
    const init = { axis, seeds: [1], maxElements: MAX_ELEMENTS / rows };
    for (const [row = []] of seededRows(model.inputs, init)) {
      const all = Array.from({ length: rows }, () => row);
      const inputs = rows === 1 ? row : joinTensors(all, axis);
      try {
        await Promise.all(Array.from({ length: model.size }, () => this.#answer(model, inputs)));
        return inputs;
      } catch (error) {
        // One that kills the process is not followed by others that may.
        if (!isSwarmError(error) || error.details?.['endedProcess'] === true) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** A run cannot be called back, so one that should end too late is not begun. */
  async #answer(model: ModelInstances, inputs: readonly NamedTensor[]): Promise<void> {
    const startedAtMs = performance.now();
    if (startedAtMs + this.#runMs > this.#endsAtMs) {
      throw new DeadlineError(`it would take longer than ${TRIAL_MS} ms to try`, 'start');
    }
    await model.run(inputs, { limitMs: LIMIT_MS, signal: this.#init.signal });
    this.#runMs = performance.now() - startedAtMs;
  }
}
