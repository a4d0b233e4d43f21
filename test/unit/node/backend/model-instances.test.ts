import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CoreTurns } from '../../../../node/backend/core-turns.ts';
import { ModelInstances } from '../../../../node/backend/model-instances.ts';
import type { NamedTensor } from '../../../../protocols/tensor.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { echoModel } from '../../../support/echo-model.ts';
import { FakeBackend, type FakeModel } from '../../../support/fake-backend.ts';
import { createModelFolder, type ModelFolder } from '../../../support/model-folder.ts';
import { present } from '../../../support/present.ts';

const INPUTS: readonly NamedTensor[] = [
  { name: 'x', tensor: Tensor.from('FP32', [1], Float32Array.of(1)) },
];
const LIMIT = { limitMs: 60_000 };
const settled = async () => new Promise((resolve) => setImmediate(resolve));

/** Has the runs of a fake model end when they are told to. */
class HeldModel {
  readonly ends: (() => void)[] = [];

  hold(model: FakeModel): void {
    const run = model.run.bind(model);
    model.run = async (...args) => {
      await new Promise<void>((resolve) => this.ends.push(resolve));
      return run(...args);
    };
  }
}

describe('ModelInstances', () => {
  let folder: ModelFolder;
  let backend: FakeBackend;

  beforeEach(async () => {
    folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: ['n'] } }));
    backend = new FakeBackend({ provider: 'cpu' });
  });
  afterEach(async () => {
    await backend.stop();
    await folder[Symbol.asyncDispose]();
  });

  async function create(count: number, turns = new CoreTurns(count), threads = 1) {
    const models: FakeModel[] = [];
    const held: HeldModel[] = [];
    for (let index = 0; index < count; index += 1) {
      const model = await backend.load(folder.files);
      const one = new HeldModel();
      one.hold(model);
      models.push(model);
      held.push(one);
    }
    const [first, ...more] = models;
    const model = new ModelInstances(present(first), { turns, version: 'v', threads });
    model.add(more);
    return { model, models, held, inside: () => held.map(({ ends }) => ends.length) };
  }

  test('gives each run to the process that has least to do', async () => {
    const { model, held, inside } = await create(3);
    expect(model.parallel).toBe(3);
    const runs = Array.from({ length: 3 }, () => model.run(INPUTS, LIMIT));
    await settled();
    expect(inside()).toEqual([1, 1, 1]);
    held[1]?.ends.pop()?.();
    await runs[1];
    runs.push(model.run(INPUTS, LIMIT));
    await settled();
    expect(inside()).toEqual([1, 1, 1]);
    for (const { ends } of held) ends.pop()?.();
    await Promise.all(runs);
  });

  test('begins no run for which the node has no cores, and begins it when it has', async () => {
    const turns = new CoreTurns(2);
    const { model, held, inside } = await create(2, turns);
    const other = await turns.take('other', 1);
    const runs = [model.run(INPUTS, LIMIT), model.run(INPUTS, LIMIT)];
    await settled();
    expect(inside()).toEqual([1, 0]);
    other.release();
    await settled();
    expect(inside()).toEqual([1, 1]);
    for (const { ends } of held) ends.pop()?.();
    await Promise.all(runs);
    expect(turns.busy).toBe(0);
  });

  test('takes no second core for a run that waits in a process which has one', async () => {
    const turns = new CoreTurns(4);
    const { model, held } = await create(1, turns);
    const runs = [model.run(INPUTS, LIMIT), model.run(INPUTS, LIMIT)];
    await settled();
    expect(turns.busy).toBe(1);
    for (const end of present(held[0]).ends) end();
    await Promise.all(runs);
    expect(turns.busy).toBe(0);
  });

  test('keeps the cores of an abandoned run until the process is done with it', async () => {
    const turns = new CoreTurns(1);
    const { model, held } = await create(1, turns);
    const gone = new AbortController();
    const run = model.run(INPUTS, { ...LIMIT, signal: gone.signal });
    await settled();
    gone.abort(new Error('its caller left'));
    await expect(run).rejects.toThrow('its caller left');
    expect(turns.busy).toBe(1);
    held[0]?.ends.pop()?.();
    await vi.waitFor(() => expect(turns.busy).toBe(0));
  });

  test('serves on with the others while one process is restarted, with fewer runs at once', async () => {
    const { model, models, inside } = await create(2);
    const states: string[] = [];
    model.onStateChange((state) => states.push(`${state} ${model.parallel}`));
    models[0]?.kill();
    expect(model.state).toBe('ready');
    void model.run(INPUTS, LIMIT).catch(() => {
      // It ends with the test.
    });
    await settled();
    expect(inside()).toEqual([0, 1]);
    expect(states).toEqual(['ready 1', 'ready 2']);
  });

  test('is given up with all its processes when one is given up', async () => {
    const { model, models } = await create(2);
    const states: string[] = [];
    model.onStateChange((state, reason) => states.push(`${state}: ${reason}`));
    models[1]?.fail('2 crashes in a row');
    expect(states).toEqual(['failed: 2 crashes in a row']);
    await expect(model.run(INPUTS, LIMIT)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await settled();
    expect(models[0]?.state).toBe('unloaded');
  });

  test('has the memory of all its processes, and ends them all', async () => {
    const { model, models } = await create(3);
    expect(model.memoryBytes).toBe(3 * present(models[0]).memoryBytes);
    await model.shrink(2);
    expect(models.map(({ state }) => state)).toEqual(['ready', 'ready', 'unloaded']);
    expect(model.memoryBytes).toBe(2 * present(models[0]).memoryBytes);
    await model.unload();
    expect(models.every(({ state }) => state === 'unloaded')).toBe(true);
    expect(model.state).toBe('unloaded');
  });
});
