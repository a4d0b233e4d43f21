import { describe, expect, test } from 'vitest';
import type { LoadedModel, ModelState, RunResult } from '../../../../node/backend/backend.ts';
import { probeBatching } from '../../../../node/scheduler/batch-probe.ts';
import type { NamedTensor } from '../../../../protocols/tensor.ts';

const DEPLOYMENT = { maxBatch: null, batchDimension: 0, latencyObjectiveMs: null };
const SPEC = { name: 'x', datatype: 'FP32', shape: ['batch', 4] } as const;

/** A model that sends its input back, after as long as a test says that so many rows take. */
class TimedModel implements LoadedModel {
  readonly inputs = [SPEC];
  readonly outputs = [{ ...SPEC, name: 'y' }];
  readonly provider = 'cpu';
  readonly memoryBytes = null;
  readonly pid = undefined;
  readonly state: ModelState = 'ready';
  readonly rows: number[] = [];
  readonly #msOf: (rows: number) => number;
  /** Milliseconds from call to answer besides. */
  readonly #wayMs: number;

  constructor(msOf: (rows: number) => number, wayMs = 0) {
    this.#msOf = msOf;
    this.#wayMs = wayMs;
  }

  onStateChange(): void {}

  async run(inputs: readonly NamedTensor[]): Promise<RunResult> {
    const rows = inputs[0]?.tensor.shape[0] ?? 0;
    this.rows.push(rows);
    const executeMs = this.#msOf(rows);
    await new Promise((resolve) => setTimeout(resolve, executeMs + this.#wayMs));
    const outputs = inputs.map(({ tensor }) => ({ name: 'y', tensor }));
    return { outputs, executeMs };
  }

  async unload(): Promise<void> {}
}

const probe = async (model: LoadedModel) =>
  probeBatching(model, DEPLOYMENT, new AbortController().signal);

describe('probeBatching', () => {
  test('begins no further run of a model whose first took nearly all the time there is', async () => {
    const model = new TimedModel(() => 1_600);
    expect(await probe(model)).toMatchObject({
      maxRows: 1,
      reason: 'more would take longer than 1500 ms',
    });
    expect(model.rows).toEqual([1]);
  });

  test('counts as a gain what the model itself gains, and not that fewer inputs are on their way', async () => {
    const model = new TimedModel((rows) => rows, 10);
    expect(await probe(model)).toMatchObject({
      maxRows: 1,
      reason: 'more rows gain less than 10 %',
    });
  });

  test('counts as a gain that a tiny model is called less often', async () => {
    const model = new TimedModel((rows) => rows / 1_000);
    expect((await probe(model)).maxRows).toBeGreaterThanOrEqual(16);
  });

  test('ends with the largest size that gained when the next would take too long', async () => {
    const model = new TimedModel((rows) => (rows <= 2 ? 150 : 300));
    const { maxRows, reason } = await probe(model);
    expect(reason).toBe('more would take longer than 1500 ms');
    expect(maxRows).toBeLessThanOrEqual(2);
    expect(model.rows.length).toBeLessThan(12);
  });
});
