import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { InferenceBackend, LoadedModel } from '../../node/backend/backend.ts';
import { DATATYPES, type Datatype } from '../../protocols/datatype.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { ECHO_ALL, ENDLESS_TRIPS, echoModel, LOOP_MODEL } from '../support/echo-model.ts';
import { createModelFolder, type ModelFolder } from '../support/model-folder.ts';
import type { ModelInit } from '../support/onnx-builder.ts';

/** A backend under test. */
export interface BackendUnderTest {
  readonly backend: InferenceBackend;
  /** Kills what executes the model, as the system or an operator would. */
  readonly kill: (model: LoadedModel) => void;
}

export interface BackendSuite {
  readonly setup: () => BackendUnderTest;
}

/** Values at the edges of each datatype, row-major. */
const EDGES: Readonly<Record<Datatype, Tensor>> = {
  BOOL: Tensor.from('BOOL', [1, 3], [true, false, true]),
  UINT8: Tensor.from('UINT8', [2, 1], [0, 255]),
  UINT16: Tensor.from('UINT16', [2, 1], [0, 65_535]),
  UINT32: Tensor.from('UINT32', [2, 1], [0, 4_294_967_295]),
  UINT64: Tensor.from('UINT64', [3, 1], [0n, 2n ** 53n + 1n, 2n ** 64n - 1n]),
  INT8: Tensor.from('INT8', [2, 1], [-128, 127]),
  INT16: Tensor.from('INT16', [2, 1], [-32_768, 32_767]),
  INT32: Tensor.from('INT32', [2, 1], [-(2 ** 31), 2 ** 31 - 1]),
  INT64: Tensor.from('INT64', [4, 1], [-(2n ** 63n), -(2n ** 53n) - 1n, -1n, 2n ** 63n - 1n]),
  // Zeros of both signs, the least subnormal, the largest number, infinities, a NaN.
  FP16: Tensor.from(
    'FP16',
    [1, 7],
    Uint16Array.of(0, 0x8000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x7e00),
  ),
  FP32: Tensor.from('FP32', [1, 6], [0, -0, 1e-45, 3.4028234663852886e38, -Infinity, Number.NaN]),
  FP64: Tensor.from('FP64', [6, 1], [0, -0, 5e-324, Number.MAX_VALUE, Infinity, Number.NaN]),
  BYTES: Tensor.from('BYTES', [2, 3], ['', 'żółw 🐢', 'a b', '\u{10ffff}', 'line\nbreak', '"']),
};

const LIMIT_MS = 20_000;

/** The same of every backend: what {@link InferenceBackend} promises. */
export function tests({ setup }: BackendSuite): void {
  let under: BackendUnderTest;
  const folders: ModelFolder[] = [];

  const load = async (init: ModelInit): Promise<LoadedModel> => {
    const folder = await createModelFolder(init);
    folders.push(folder);
    return under.backend.load(folder.files);
  };

  beforeAll(() => {
    under = setup();
  });
  afterAll(async () => {
    await under.backend.stop();
    for (const folder of folders) await folder[Symbol.asyncDispose]();
  });

  datatypeTests(load);
  inputTests(load);
  runTests(load, () => under);
  lifeTests(setup);
}

type Load = (init: ModelInit) => Promise<LoadedModel>;

function datatypeTests(load: Load): void {
  describe('datatypes', () => {
    let model: LoadedModel;
    beforeAll(async () => {
      model = await load(ECHO_ALL);
    });

    test.each(DATATYPES)('a model takes and gives %s bit by bit', async (datatype) => {
      const { outputs } = await model.run(matrices({ [datatype]: EDGES[datatype] }), {
        limitMs: LIMIT_MS,
        outputs: [`${datatype}-out`],
      });
      expect(outputs).toEqual([{ name: `${datatype}-out`, tensor: EDGES[datatype] }]);
    });

    test('a model takes and gives every datatype at once, each with its own shape', async () => {
      const { outputs, executeMs } = await model.run(matrices(EDGES), { limitMs: LIMIT_MS });
      expect(outputs).toEqual(
        DATATYPES.map((datatype) => ({ name: `${datatype}-out`, tensor: EDGES[datatype] })),
      );
      expect(executeMs).toBeGreaterThanOrEqual(0);
    });

    test('a model takes and gives empty tensors of every datatype', async () => {
      const { outputs } = await model.run(matrices({}), { limitMs: LIMIT_MS });
      expect(outputs.map(({ tensor }) => [tensor.datatype, tensor.shape])).toEqual(
        DATATYPES.map((datatype) => [datatype, [0, 2]]),
      );
    });

    test('a model reports its inputs and outputs with names, datatypes and free dimensions', () => {
      expect(model.inputs).toEqual(
        DATATYPES.map((datatype) => ({ name: datatype, datatype, shape: ['rows', 'columns'] })),
      );
      expect(model.outputs.map(({ name }) => name)).toEqual(DATATYPES.map((name) => `${name}-out`));
    });

    test('a model takes and gives scalars', async () => {
      const scalars = await load(
        echoModel({ n: { datatype: 'INT64', shape: [] }, s: { datatype: 'BYTES', shape: [] } }),
      );
      const n = Tensor.from('INT64', [], [-5n]);
      const s = Tensor.from('BYTES', [], ['żółw']);
      const { outputs } = await scalars.run(
        [
          { name: 'n', tensor: n },
          { name: 's', tensor: s },
        ],
        { limitMs: LIMIT_MS },
      );
      expect(outputs).toEqual([
        { name: 'n-out', tensor: n },
        { name: 's-out', tensor: s },
      ]);
    });
  });
}

function inputTests(load: Load): void {
  describe('inputs', () => {
    let model: LoadedModel;
    const a = { name: 'a', tensor: Tensor.from('FP32', [2, 1], [1, 2]) };
    const b = { name: 'b', tensor: Tensor.from('INT64', [1], [3n]) };
    beforeAll(async () => {
      model = await load(
        echoModel({
          a: { datatype: 'FP32', shape: [2, 'n'] },
          b: { datatype: 'INT64', shape: ['m'] },
        }),
      );
    });

    test.each([1, 2, 1000])('a free dimension takes size %i', async (size) => {
      const tensor = Tensor.from('FP32', [2, size], new Float32Array(2 * size).fill(size));
      const { outputs } = await model.run([{ name: 'a', tensor }, b], { limitMs: LIMIT_MS });
      expect(outputs[0]).toEqual({ name: 'a-out', tensor });
    });

    test('inputs are told apart by name, not by order', async () => {
      const { outputs } = await model.run([b, a], { limitMs: LIMIT_MS });
      expect(outputs.map(({ name }) => name)).toEqual(['a-out', 'b-out']);
      expect(outputs[1]?.tensor).toEqual(b.tensor);
    });

    test('outputs come as they were asked for, and only those', async () => {
      const options = { limitMs: LIMIT_MS, outputs: ['b-out', 'a-out'] };
      const { outputs } = await model.run([a, b], options);
      expect(outputs.map(({ name }) => name)).toEqual(['b-out', 'a-out']);
      const one = await model.run([a, b], { limitMs: LIMIT_MS, outputs: ['b-out'] });
      expect(one.outputs).toEqual([{ name: 'b-out', tensor: b.tensor }]);
    });

    test.each<[what: string, inputs: NamedTensor[], message: RegExp]>([
      ['an input is missing', [a], /'b'/],
      ['an input is unknown', [a, b, { ...b, name: 'c' }], /'c'/],
      ['an input is given twice', [a, a, b], /'a'/],
      [
        'a datatype is wrong',
        [{ name: 'a', tensor: Tensor.from('FP64', [2, 1], [1, 2]) }, b],
        /FP64.*FP32/,
      ],
      [
        'a rank is wrong',
        [{ name: 'a', tensor: Tensor.from('FP32', [2], [1, 2]) }, b],
        /\[2\].*\[2, n\]/,
      ],
      [
        'a fixed dimension is wrong',
        [{ name: 'a', tensor: Tensor.from('FP32', [1, 2], [1, 2]) }, b],
        /\[1, 2\].*\[2, n\]/,
      ],
    ])('a run is refused with ERR_INVALID_INPUT when %s', async (_, inputs, message) => {
      await expect(model.run(inputs, { limitMs: LIMIT_MS })).rejects.toMatchObject({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringMatching(message),
      });
    });

    test('a run is refused with ERR_INVALID_INPUT when an output is unknown', async () => {
      const run = model.run([a, b], { limitMs: LIMIT_MS, outputs: ['a-out', 'nope'] });
      await expect(run).rejects.toMatchObject({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringContaining("'nope'"),
      });
    });

    test('a refused run leaves the model as it was', async () => {
      await expect(model.run([], { limitMs: LIMIT_MS })).rejects.toThrow('missing');
      await expect(model.run([a, b], { limitMs: LIMIT_MS })).resolves.toBeDefined();
      expect(model.state).toBe('ready');
    });
  });
}

function loopInputs(value: number, trips: bigint): NamedTensor[] {
  return [
    { name: 'x', tensor: Tensor.from('FP32', [1], [value]) },
    { name: 'trips', tensor: Tensor.from('INT64', [], [trips]) },
  ];
}

function runTests(load: Load, under: () => BackendUnderTest): void {
  describe('runs', () => {
    let model: LoadedModel;
    const run = async (value: number, trips = 1n, limitMs = LIMIT_MS, signal?: AbortSignal) => {
      const { outputs } = await model.run(loopInputs(value, trips), { limitMs, signal });
      return outputs[0]?.tensor.toArray()[0];
    };
    beforeAll(async () => {
      model = await load(LOOP_MODEL);
    });

    test('runs handed in at once are answered each with its own', async () => {
      const values = Array.from({ length: 50 }, (_, index) => index);
      await expect(Promise.all(values.map(async (value) => run(value)))).resolves.toEqual(values);
    });

    test('a run past its limit fails alone, with the limit, and those behind it are answered', async () => {
      const endless = run(1, ENDLESS_TRIPS, 300);
      const others = Promise.all([run(2), run(3)]);
      await expect(endless).rejects.toMatchObject({
        code: 'ERR_EXECUTION',
        details: { limitMs: 300 },
      });
      await expect(others).resolves.toEqual([2, 3]);
      expect(model.state).toBe('ready');
    });

    test('an aborted run rejects with its reason at once, and the model goes on', async () => {
      const abort = new AbortController();
      const abandoned = run(1, ENDLESS_TRIPS, 500, abort.signal);
      const waiting = run(2, 1n, LIMIT_MS, abort.signal);
      const behind = run(3);
      const reason = new Error('changed my mind');
      abort.abort(reason);
      await expect(abandoned).rejects.toBe(reason);
      await expect(waiting).rejects.toBe(reason);
      await expect(behind).resolves.toBe(3);
    });

    test('a run whose signal is aborted already is not begun', async () => {
      const reason = new Error('too late');
      await expect(run(1, 1n, LIMIT_MS, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test('a model that was killed from outside restarts, tells so, and answers again', async () => {
      const states: string[] = [];
      model.onStateChange((state) => states.push(state));
      under().kill(model);
      await vi.waitFor(() => expect(states).toEqual(['restarting', 'ready']), 10_000);
      await expect(run(7)).resolves.toBe(7);
    });
  });
}

function lifeTests(setup: BackendSuite['setup']): void {
  const prepare = async (init: ModelInit | Uint8Array) => {
    const { backend } = setup();
    const folder = await createModelFolder(init);
    onTestFinished(async () => {
      await backend.stop();
      await folder[Symbol.asyncDispose]();
    });
    return { backend, files: folder.files };
  };
  const value = { name: 'x', tensor: Tensor.from('FP32', [1], [1]) };
  const small = echoModel({ x: { datatype: 'FP32', shape: [1] } });

  describe('life', () => {
    test('an unloaded model is unloaded once, and refuses runs with ERR_NOT_FOUND', async () => {
      const { backend, files } = await prepare(small);
      const model = await backend.load(files);
      const states: string[] = [];
      model.onStateChange((state) => states.push(state));
      await Promise.all([model.unload(), model.unload()]);
      await model.unload();
      expect(states).toEqual(['unloaded']);
      expect(model.state).toBe('unloaded');
      await expect(model.run([value], { limitMs: LIMIT_MS })).rejects.toMatchObject({
        code: 'ERR_NOT_FOUND',
      });
    });

    test('unloading rejects the runs under way and those that wait', async () => {
      const { backend, files } = await prepare(LOOP_MODEL);
      const model = await backend.load(files);
      const runs = [1, 2].map((n) =>
        model.run(loopInputs(n, ENDLESS_TRIPS), { limitMs: LIMIT_MS }).catch((error) => error),
      );
      await model.unload();
      for (const error of await Promise.all(runs)) {
        expect(error).toMatchObject({ code: 'ERR_NOT_FOUND' });
      }
    });

    test('one version loads twice, and each copy lives its own life', async () => {
      const { backend, files } = await prepare(small);
      const [first, second] = await Promise.all([backend.load(files), backend.load(files)]);
      await first.unload();
      await expect(second.run([value], { limitMs: LIMIT_MS })).resolves.toMatchObject({
        outputs: [{ name: 'x-out' }],
      });
    });

    test('a stopped backend has unloaded every model and loads none', async () => {
      const { backend, files } = await prepare(small);
      const model = await backend.load(files);
      await Promise.all([backend.stop(), backend.stop()]);
      expect(model.state).toBe('unloaded');
      await expect(backend.load(files)).rejects.toThrow('the backend stops');
    });

    test('a load whose signal is aborted rejects with its reason', async () => {
      const { backend, files } = await prepare(small);
      const reason = new Error('not wanted any more');
      await expect(backend.load(files, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    });

    test('a file that is no model is refused with ERR_INVALID_MODEL that names it', async () => {
      const { backend, files } = await prepare(Buffer.from('<html><body>404</body></html>'));
      await expect(backend.load(files)).rejects.toMatchObject({
        code: 'ERR_INVALID_MODEL',
        message: expect.stringContaining('model.onnx'),
      });
    });

    test('a file that is not there is refused with ERR_INVALID_MODEL, without a path', async () => {
      const { backend, files } = await prepare(small);
      const load = backend.load({ ...files, entry: 'other.onnx' });
      await expect(load).rejects.toMatchObject({
        code: 'ERR_INVALID_MODEL',
        message: expect.not.stringContaining(files.directory),
      });
    });

    test('a model that is not what its manifest declares is refused with ERR_INVALID_MODEL', async () => {
      const { backend, files } = await prepare(small);
      const [input] = files.inputs;
      if (input === undefined) throw new Error('the model has an input');
      const lies = [
        { ...files, inputs: [{ ...input, datatype: 'FP64' as const }] },
        { ...files, outputs: [{ ...input, name: 'z' }] },
      ];
      for (const lie of lies) {
        await expect(backend.load(lie)).rejects.toMatchObject({ code: 'ERR_INVALID_MODEL' });
      }
    });
  });
}

/** Inputs of {@link ECHO_ALL}: those given, and an empty matrix for each other. */
function matrices(given: Partial<Record<Datatype, Tensor>>): NamedTensor[] {
  return DATATYPES.map((datatype) => ({
    name: datatype,
    tensor: given[datatype] ?? Tensor.from(datatype, [0, 2], []),
  }));
}
