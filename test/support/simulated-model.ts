import type { LoadedModel, ModelState, RunOptions, RunResult } from '../../node/backend/backend.ts';
import type { Clock } from '../../node/scheduler/clock.ts';
import { ExecutionError } from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';

/** What an input does to the model. */
export type InputEffect = 'none' | 'fails' | 'kills' | 'hangs';

export interface SimulatedModelInit {
  readonly clock: Clock;
  /** Milliseconds of a run: a fixed part, and one for each row. */
  readonly fixedMs: number;
  readonly rowMs: number;
  /** Milliseconds after which a process that died is back. */
  readonly restartMs: number;
  readonly parallel: number;
  readonly ahead: number;
  /** By the values of the input, which say whose rows they are. */
  readonly effectOf: (value: number) => InputEffect;
  /** Hears what happens, in a few words, and whose rows it is about. */
  readonly tell: (what: string, values: readonly number[]) => void;
}

interface SimulatedRun {
  readonly inputs: readonly NamedTensor[];
  readonly values: readonly number[];
  readonly options: RunOptions;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: Error) => void;
}

/** A model on simulated time: it sends its input back after as long as it is said to take, or does what the input makes it do. */
export class SimulatedModel implements LoadedModel {
  readonly inputs = [];
  readonly outputs = [];
  readonly provider = 'cpu';
  readonly memoryBytes = null;
  readonly parallel: number;
  readonly ahead: number;
  state: ModelState = 'ready';
  readonly #init: SimulatedModelInit;
  readonly #listeners: ((state: ModelState, reason: string) => void)[] = [];
  readonly #waiting: SimulatedRun[] = [];
  #executing = 0;

  constructor(init: SimulatedModelInit) {
    this.#init = init;
    this.parallel = init.parallel;
    this.ahead = init.ahead;
  }

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.#listeners.push(callback);
  }

  async run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      const values = (inputs[0]?.tensor.toArray() ?? []) as number[];
      const run = { inputs, values, options, resolve, reject };
      this.#waiting.push(run);
      this.#advance();
      if (!this.#waiting.includes(run)) return;
      this.#init.tell(this.state === 'ready' ? 'is handed' : 'keeps for the next process', values);
    });
  }

  async unload(): Promise<void> {
    this.#become('unloaded');
  }

  #advance(): void {
    while (this.state === 'ready' && this.#executing < this.parallel) {
      const run = this.#waiting.shift();
      if (run === undefined) return;
      this.#executing += 1;
      this.#execute(run);
    }
  }

  #execute(run: SimulatedRun): void {
    const { inputs, values, options } = run;
    const { clock, fixedMs, rowMs, tell, effectOf } = this.#init;
    tell('runs', values);
    options.onBegin?.();
    const executeMs = fixedMs + rowMs * (inputs[0]?.tensor.shape[0] ?? 0);
    const effects = values.map(effectOf);
    const { limitMs } = options;
    if (effects.includes('hangs') || executeMs > limitMs) {
      clock.after(limitMs, () => this.#die(run, `was stopped after ${limitMs} ms`, { limitMs }));
    } else if (effects.includes('kills')) {
      clock.after(executeMs, () => this.#die(run, 'died of a fault', {}));
    } else {
      clock.after(executeMs, () => {
        this.#executing -= 1;
        if (effects.includes('fails')) run.reject(new ExecutionError('it divides by zero'));
        else run.resolve({ outputs: inputs, executeMs });
        this.#advance();
      });
    }
  }

  #die(run: SimulatedRun, how: string, details: Readonly<Record<string, number>>): void {
    const { clock, restartMs, tell } = this.#init;
    this.#executing -= 1;
    tell(`its process ${how} with`, run.values);
    this.#become('restarting');
    run.reject(
      new ExecutionError(`its process ${how}`, { details: { ...details, endedProcess: true } }),
    );
    clock.after(restartMs, () => {
      tell('its process is back', []);
      this.#become('ready');
      this.#advance();
    });
  }

  #become(state: ModelState): void {
    this.state = state;
    for (const listener of this.#listeners) listener(state, 'simulated');
  }
}
