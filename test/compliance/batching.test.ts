import { afterEach, describe, expect, test } from 'vitest';
import type { LoadedModel } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { type ProbedDeployment, probeBatching } from '../../node/scheduler/batch-probe.ts';
import { VersionQueue } from '../../node/scheduler/version-queue.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { TURN_EACH } from '../support/held-queue.ts';
import { createModelFolder } from '../support/model-folder.ts';
import type { ModelInit } from '../support/onnx-builder.ts';

const BATCHING = { axis: 0, maxRows: 16, maxDelayMs: 0 };
const DEPLOYMENT: ProbedDeployment = {
  maxBatch: null,
  batchDimension: 0,
  latencyObjectiveMs: null,
};
const SIGNAL = new AbortController().signal;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function load(init: ModelInit): Promise<LoadedModel> {
  const folder = await createModelFolder(init);
  const backend = createOnnxBackend({ threads: 1 });
  cleanups.push(
    async () => folder[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  return backend.load(folder.files);
}

/** One operator over `x [batch, 4]`. */
const over = (
  op: string,
  rest: Partial<ModelInit> & { readonly axis?: number } = {},
): ModelInit => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 4] }],
  nodes: [
    {
      op,
      inputs: ['x', ...(rest.initializers ?? []).map(({ name }) => name)],
      outputs: ['y'],
      ...(rest.axis === undefined ? {} : { attributes: { axis: { int: rest.axis } } }),
    },
  ],
  initializers: rest.initializers ?? [],
});

const MATRIX = over('MatMul', {
  initializers: [
    {
      name: 'w',
      datatype: 'FP32',
      shape: [4, 4],
      data: Array.from({ length: 16 }, (_, index) => index - 8),
    },
  ],
});

const DIVIDE: ModelInit = {
  inputs: ['a', 'b'].map((name) => ({ name, datatype: 'INT32' as const, shape: ['n'] })),
  outputs: [{ name: 'quotient', datatype: 'INT32', shape: ['n'] }],
  nodes: [{ op: 'Div', inputs: ['a', 'b'], outputs: ['quotient'] }],
};

const rows = (count: number, first: number) => [
  {
    name: 'x',
    tensor: Tensor.from(
      'FP32',
      [count, 4],
      Array.from({ length: 4 * count }, (_, index) => first + index),
    ),
  },
];

/** Another model's face, which counts its runs. */
class CountedModel implements LoadedModel {
  runs = 0;
  readonly #model: LoadedModel;

  constructor(model: LoadedModel) {
    this.#model = model;
  }

  get inputs() {
    return this.#model.inputs;
  }
  get outputs() {
    return this.#model.outputs;
  }
  get provider() {
    return this.#model.provider;
  }
  get state() {
    return this.#model.state;
  }
  get memoryBytes() {
    return this.#model.memoryBytes;
  }

  onStateChange(callback: Parameters<LoadedModel['onStateChange']>[0]): void {
    this.#model.onStateChange(callback);
  }

  run(...call: Parameters<LoadedModel['run']>) {
    this.runs += 1;
    return this.#model.run(...call);
  }

  unload() {
    return this.#model.unload();
  }
}

describe('probeBatching, with ONNX Runtime,', () => {
  test('finds that a model of independent rows gains by batches, within the manifest’s bound', async () => {
    const model = await load(MATRIX);
    const free = await probeBatching(model, DEPLOYMENT, SIGNAL);
    expect(free.maxRows, free.reason).toBeGreaterThan(1);
    const bounded = await probeBatching(model, { ...DEPLOYMENT, maxBatch: 2 }, SIGNAL);
    expect(bounded.maxRows, bounded.reason).toBeLessThanOrEqual(2);
  });

  test.each<[what: string, model: ModelInit, deployment: Partial<ProbedDeployment>, why: string]>([
    ['normalises over rows', over('Softmax', { axis: 0 }), {}, 'in a batch element 0 of output'],
    [
      'adds rows up',
      over('CumSum', {
        initializers: [{ name: 'axis', datatype: 'INT64', shape: [], data: [0] }],
      }),
      {},
      'in a batch element',
    ],
    [
      'has a fixed number of rows',
      { ...MATRIX, inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 4] }] },
      {},
      "dimension 0 of 'x' is not free",
    ],
    ['is to have no batches', MATRIX, { maxBatch: 1 }, 'the manifest wants none'],
    [
      'has an objective that two rows miss',
      MATRIX,
      { latencyObjectiveMs: 0 },
      '2 rows take longer',
    ],
  ])('lets a model that %s run its requests alone', async (_what, init, deployment, why) => {
    const model = await load(init);
    const finding = await probeBatching(model, { ...DEPLOYMENT, ...deployment }, SIGNAL);
    expect(finding).toMatchObject({ maxRows: 1, reason: expect.stringContaining(why) });
  });
});

describe('VersionQueue with batches, with ONNX Runtime,', () => {
  test('answers each of many at once with its own rows, in fewer runs', async () => {
    const model = await load(MATRIX);
    const counted = new CountedModel(model);
    const options = { maxQueued: 256, executionLimitMs: 10_000 };
    const alone = new VersionQueue(model, options);
    const queue = new VersionQueue(counted, { ...options, batching: BATCHING });
    const requests = Array.from({ length: 60 }, (_, index) => rows(1 + (index % 3), index));
    const answers = await Promise.all(requests.map(async (inputs) => queue.submit(inputs)));
    for (const [index, inputs] of requests.entries()) {
      const { outputs } = await alone.submit(inputs);
      expect(answers[index]?.outputs).toEqual(outputs);
    }
    expect(counted.runs).toBeLessThan(20);
  });

  test('an input that kills the process costs nobody else an answer, and is refused the third time', async () => {
    const model = await load(DIVIDE);
    // The first runs alone: a division of four at once, which has instructions of its own, survives what kills one of three.
    const queue = new VersionQueue(model, {
      maxQueued: 64,
      executionLimitMs: 10_000,
      batching: BATCHING,
      clock: TURN_EACH,
    });
    const divide = async (a: number, b: number) => {
      const { outputs } = await queue.submit([
        { name: 'a', tensor: Tensor.from('INT32', [1], [a]) },
        { name: 'b', tensor: Tensor.from('INT32', [1], [b]) },
      ]);
      return outputs[0]?.tensor.toArray();
    };
    for (const code of ['ERR_EXECUTION', 'ERR_EXECUTION', 'ERR_INVALID_INPUT']) {
      const [one, two, deadly, three] = await Promise.allSettled([
        divide(8, 1),
        divide(8, 2),
        divide(-(2 ** 31), -1),
        divide(9, 3),
      ]);
      expect(deadly).toMatchObject({ reason: { code } });
      expect([one, two, three]).toMatchObject([{ value: [8] }, { value: [4] }, { value: [3] }]);
    }
  });
});
