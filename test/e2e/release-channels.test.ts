import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';

const REQUEST = JSON.stringify({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [0, 0, 0, 0] }],
});

const METADATA = JSON.stringify({
  metadata: {
    task: 'arithmetic',
    description: 'Adds a number to four others.',
    labels: { size: 'tiny' },
  },
});

describe('A swarm of processes', () => {
  let swarm: ProcessSwarm;
  let reference = '';
  const versions: string[] = [];

  beforeAll(async () => {
    swarm = await ProcessSwarm.create();
    await Promise.all(['one', 'two'].map((name) => swarm.startNode(name)));
    for (const offset of [1, 2]) {
      const files = { 'model.onnx': addModel(offset), 'swarm.json': METADATA };
      const published = await swarm.publish('adder', files);
      reference = published.reference;
      versions.push(published.version);
    }
  });
  afterAll(() => swarm[Symbol.asyncDispose]());

  async function infer(
    ...options: string[]
  ): Promise<{ version: string; channel: string; sequence: number }> {
    const result = await swarm.run(['infer', reference, '--request', '-', ...options], REQUEST);
    expect(result.code, result.stderr).toBe(0);
    return (
      JSON.parse(result.stdout) as {
        parameters: { version: string; channel: string; sequence: number };
      }
    ).parameters;
  }

  async function move(...words: string[]): Promise<void> {
    const [verb = '', ...rest] = words;
    const result = await swarm.run([
      'release',
      verb,
      'adder',
      ...rest,
      '--data',
      `${swarm.folder}/publisher`,
    ]);
    expect(result.code, result.stderr).toBe(0);
  }

  it('sends a key to the same side of a canary from every process, and a rolled back version nothing', async () => {
    const [older = '', newer = ''] = versions;
    await move('rollback');
    expect(await infer()).toMatchObject({ version: older, channel: 'stable', sequence: 3 });
    await move('canary', newer, '--weight', '50%');
    const keys = Array.from({ length: 4 }, (_, index) => `session-${index}`);
    const ask = async () => {
      const sides: string[] = [];
      for (const key of keys) {
        const { version, channel } = await infer('--key', key);
        expect(version).toBe(channel === 'canary' ? newer : older);
        sides.push(channel);
      }
      return sides;
    };
    const sides = await ask();
    expect(await ask()).toEqual(sides);
  });

  it('finds a model by what its manifest says', async () => {
    const search = async (...options: string[]) => {
      const result = await swarm.run(['models', 'ls', ...options, '--json']);
      expect(result.code, result.stderr).toBe(0);
      return result.events.filter(({ event }) => event === 'found');
    };
    expect(
      await search('--search', 'FOUR others', '--task', 'arithmetic', '--label', 'size=tiny'),
    ).toMatchObject([
      { name: 'adder', verified: true, metadata: { task: 'arithmetic', labels: { size: 'tiny' } } },
    ]);
    expect(await search('--search', 'subtracts')).toEqual([]);
    const [publisher = ''] = reference.split('/');
    expect(await search('--publisher', publisher)).toHaveLength(1);
  });
});
