import { VersionQueue } from '../../node/scheduler/version-queue.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { Cancellation } from '../../protocols/inference/index.ts';
import { Tensor } from '../../protocols/tensor.ts';
import type { ScenarioStep } from './scenario.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { type InputEffect, SimulatedModel } from './simulated-model.ts';

/** What a `model` line may set, with what holds when it does not. Times are in milliseconds. */
const SETTINGS = {
  /** Of a run: a fixed part, and one for each row. */
  fixed: 0,
  row: 10,
  maxRows: 1,
  delay: 0,
  maxQueued: 16,
  limit: 1_000,
  restart: 100,
  parallel: 1,
  ahead: 0,
  /** 0 when nothing was measured before the first run. */
  measured: 1,
};

const ARRIVAL =
  /^(\S+) from (\S+?)(?:, (\d+) rows)?(?:, of (\d+) columns)?(?:, priority (\d+))?(?:, within (\d+) ms)?(?:, which (fails|kills|hangs))?$/;

/** One request of a story. */
interface Arrival {
  readonly name: string;
  readonly caller: string;
  readonly rows: number;
  readonly columns: number;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly effect: InputEffect;
  readonly cancellation: Cancellation;
}

/**
 * Runs the commands of a scheduler's story, on simulated time, through the real queue: `model` sets up, `at <ms>` lets time pass
 * and has what its lines say happen then, `until <ms>` lets time pass. What comes of it is told moment by moment.
 */
export class SchedulerStory {
  readonly #clock = new SimulatedClock();
  readonly #arrivals: Arrival[] = [];
  #queue: VersionQueue | undefined;
  #told: string[] = [];

  async run({ command, input }: ScenarioStep): Promise<string> {
    const [verb = '', ...settings] = command.split(' ');
    this.#told = [];
    if (verb === 'model') this.#model(settings);
    else if (verb === 'at' || verb === 'until') await this.#clock.advanceTo(Number(settings[0]));
    else throw new Error(`expected model, at or until, found ${verb}`);
    for (const line of input) this.#happen(line);
    // What follows at once belongs to this moment.
    await this.#clock.advanceTo(this.#clock.nowMs());
    return this.#told.join('\n') || 'ok';
  }

  #model(settings: readonly string[]): void {
    const given = Object.fromEntries(settings.map((setting) => setting.split('=')));
    const unknown = Object.keys(given).find((name) => !(name in SETTINGS));
    if (unknown !== undefined) throw new Error(`a model has no setting '${unknown}'`);
    const values: typeof SETTINGS = { ...SETTINGS };
    for (const [name, value] of Object.entries(given)) {
      values[name as keyof typeof SETTINGS] = Number(value);
    }
    const { fixed, row, maxRows, delay, maxQueued, limit, restart, parallel, ahead } = values;
    const clock = this.#clock;
    const model = new SimulatedModel({
      clock,
      fixedMs: fixed,
      rowMs: row,
      restartMs: restart,
      parallel,
      ahead,
      effectOf: (value) => this.#arrivals[value]?.effect ?? 'none',
      tell: (what, indices) => {
        const names = indices.map((index) => this.#arrivals[index]?.name ?? '?');
        this.#told.push(`${this.#moment} ${[what, ...new Set(names)].join(' ')}`);
      },
    });
    const measured = values.measured === 1 ? [1, Math.max(2, maxRows)] : [];
    this.#queue = new VersionQueue(model, {
      maxQueued,
      executionLimitMs: limit,
      batching: { axis: 0, maxRows, maxDelayMs: delay },
      timings: measured.map((rows) => ({ elements: rows, ms: fixed + row * rows })),
      clock,
    });
  }

  #happen(line: string): void {
    const queue = this.#queue;
    if (queue === undefined) throw new Error('expected a model before anything happens');
    if (line === 'drain') {
      void queue.drain().then(() => this.#told.push(`${this.#moment} drained`));
      return;
    }
    const leaver = this.#arrivals.find(({ name }) => line === `${name} gives up`);
    if (leaver !== undefined)
      return leaver.cancellation.cancel(new DOMException('gave up', 'AbortError'));
    void this.#arrive(queue, this.#parse(line));
  }

  #parse(line: string): Arrival {
    const [, name, caller, rows, columns, priority, deadlineMs, effect] = ARRIVAL.exec(line) ?? [];
    if (name === undefined || caller === undefined) throw new Error(`cannot read '${line}'`);
    const arrival: Arrival = {
      name,
      caller,
      rows: Number(rows ?? 1),
      columns: Number(columns ?? 1),
      priority: Number(priority ?? 0),
      deadlineMs: Number(deadlineMs ?? 60_000),
      effect: (effect ?? 'none') as InputEffect,
      cancellation: new Cancellation(),
    };
    this.#arrivals.push(arrival);
    return arrival;
  }

  /** As a node does it: refused by the header alone, else put into the line. */
  async #arrive(queue: VersionQueue, arrival: Arrival): Promise<void> {
    const { name, caller, rows, columns, priority, deadlineMs, cancellation } = arrival;
    const index = this.#arrivals.indexOf(arrival);
    const x = Tensor.from('FP32', [rows, columns], Array(rows * columns).fill(index));
    try {
      queue.admit(deadlineMs, x.size);
      const { outputs } = await queue.submit([{ name: 'x', tensor: x }], {
        caller,
        priority,
        deadlineAtMs: this.#clock.nowMs() + deadlineMs,
        cancellation,
      });
      const own = outputs[0]?.tensor.toArray().join() === x.toArray().join();
      this.#told.push(`${this.#moment} ${name} is answered${own ? '' : ' with rows of another'}`);
    } catch (error) {
      this.#told.push(`${this.#moment} ${name} ${describeFailure(error)}`);
    }
  }

  get #moment(): string {
    return `${Math.round(this.#clock.nowMs() * 100) / 100} ms:`;
  }
}

function describeFailure(error: unknown): string {
  if (!isSwarmError(error)) return 'is gone';
  const { retryAfterMs } = error as { retryAfterMs?: number };
  if (error.code === 'ERR_BUSY') return `is refused: ${error.message}; again in ${retryAfterMs} ms`;
  return error.code === 'ERR_DEADLINE' ? `is late: ${error.message}` : `fails: ${error.message}`;
}
