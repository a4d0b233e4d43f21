import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

describe('swarm publish, in processes of their own,', () => {
  let swarm: ProcessSwarm;
  const folderOf = (name: string): string => path.join(swarm.folder, name);

  beforeAll(async () => {
    swarm = await ProcessSwarm.create();
    await swarm.startNode('node');
  });
  afterAll(() => swarm[Symbol.asyncDispose]());

  const publish = async (name: string, ...options: string[]) => {
    const data = path.join(swarm.folder, 'publisher');
    const words = ['publish', folderOf(name), '--name', name, '--data', data, '--replicas', '1'];
    return swarm.run([...words, ...options, '--json']);
  };

  it('makes golden vectors, says where they are, and gives the folder one CID from then on', async () => {
    await mkdir(folderOf('adder'));
    await writeFile(path.join(folderOf('adder'), 'model.onnx'), addModel());
    const first = await publish('adder');
    expect(first.code, first.stderr).toBe(0);
    const file = path.join(folderOf('adder'), 'golden.json');
    expect(first.events).toContainEqual({ event: 'golden', file, cases: 2, made: true });
    const vectors = await readFile(file);
    const second = await publish('adder');
    expect(second.events.some(({ event }) => event === 'golden')).toBe(false);
    expect(await readFile(file)).toEqual(vectors);
    const [one, two] = [first, second].map(({ events }) => events.at(-1));
    expect(two?.['version']).toBe(one?.['version']);
    const shown = await swarm.run(['models', 'show', String(one?.['reference']), '--json']);
    expect(shown.events[0]).toMatchObject({
      golden: 'golden.json',
      manifest: { golden: { file: 'golden.json' } },
    });
  });

  it('keeps those of a Hugging Face cache in --golden-dir, from where another machine takes them', async () => {
    const cache = path.join(folderOf('models--acme--cached'), 'snapshots', '5e3b');
    await mkdir(cache, { recursive: true });
    await writeFile(path.join(cache, 'model.onnx'), addModel(3));
    const publishFrom = async (machine: string) =>
      swarm.run([
        ...['publish', folderOf('models--acme--cached'), '--name', 'cached', '--replicas', '1'],
        ...['--data', folderOf(machine), '--golden-dir', folderOf('vectors'), '--json'],
      ]);
    const first = await publishFrom('one');
    expect(first.code, first.stderr).toBe(0);
    const [name = ''] = await readdir(folderOf('vectors'));
    const golden = { event: 'golden', file: path.join(folderOf('vectors'), name), cases: 2 };
    expect(first.events).toContainEqual({ ...golden, made: true });
    const second = await publishFrom('two');
    expect(second.events).toContainEqual({ ...golden, made: false });
    expect(second.events.at(-1)?.['version']).toBe(first.events.at(-1)?.['version']);
  });

  it('makes none with --no-golden, which models show tells people and programs', async () => {
    await mkdir(folderOf('bare'));
    await writeFile(path.join(folderOf('bare'), 'model.onnx'), addModel(7));
    const published = await publish('bare', '--no-golden');
    expect(published.code, published.stderr).toBe(0);
    const reference = String(published.events.at(-1)?.['reference']);
    const [plain, json] = await Promise.all([
      swarm.run(['models', 'show', reference]),
      swarm.run(['models', 'show', reference, '--json']),
    ]);
    expect(plain.stdout).toContain('none: published with --no-golden, no node checks its answers');
    expect(json.events[0]).toMatchObject({ event: 'model', golden: null });
  });

  it('tells the publisher which vector came out wrong on which node, and releases nothing', async () => {
    await mkdir(folderOf('wrong'));
    await writeFile(path.join(folderOf('wrong'), 'model.onnx'), addModel(1));
    const tensor = (name: string, data: number[]) => ({
      name,
      datatype: 'FP32',
      shape: [1, 4],
      data,
    });
    await writeFile(
      path.join(folderOf('wrong'), 'golden.json'),
      JSON.stringify({
        cases: [{ inputs: [tensor('x', [0, 0, 0, 0])], outputs: [tensor('sum', [1, 1, 2, 1])] }],
      }),
    );
    const { code, events } = await publish('wrong');
    expect(code).toBe(4);
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'progress', state: 'refused', code: 'ERR_INVALID_MODEL' }),
    );
    expect(events.at(-1)).toMatchObject({
      event: 'error',
      code: 'ERR_NO_NODE',
      message: expect.stringContaining("element 2 of output 'sum' is 1, expected 2") as unknown,
    });
  });
});
