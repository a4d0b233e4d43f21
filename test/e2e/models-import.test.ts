import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packModel } from '../../src/model/package.ts';
import { readTree, writeTree } from '../support/file-tree.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { type CommandResult, runSwarm } from '../support/swarm-command.ts';

/** `sum FP32 [batch, 4] = x FP32 [batch, 4] + w`, the weights in a file of their own. */
const MODEL = buildModel({
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
  outputs: [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }],
  nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['sum'] }],
  initializers: [{ name: 'w', datatype: 'FP32', shape: [4], external: { location: 'w.bin' } }],
});

const REPOSITORY = {
  'repository/adder/config.pbtxt': `
    name: "adder"
    platform: "onnxruntime_onnx"
    max_batch_size: 8
    input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
    output [ { name: "sum" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" } ]
    instance_group [ { kind: KIND_CPU count: 1 } ]
    dynamic_batching { default_queue_policy { max_queue_size: 16 } }
    response_cache { enable: true }`,
  'repository/adder/labels.txt': 'north\neast\nsouth\nwest\n',
  'repository/adder/1/model.onnx': buildModel({ inputs: [], outputs: [], nodes: [] }),
  'repository/adder/2/model.onnx': MODEL,
  'repository/adder/2/w.bin': new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer),
  'repository/other/1/model.onnx': MODEL,
} as const;

const REQUEST = JSON.stringify({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 1, 1, 1] }],
});

function ok(result: CommandResult): Record<string, unknown> {
  expect(result.code, `${result.stdout}\n${result.stderr}`).toBe(0);
  return result.events.at(-1) ?? {};
}

describe('swarm models import and export', () => {
  it('bring a Triton model into the swarm, and out of it again as the same version', async () => {
    await using swarm = await ProcessSwarm.create();
    const at = (name: string): string => path.join(swarm.folder, name);
    await Promise.all([swarm.startNode('node-1'), writeTree(swarm.folder, REPOSITORY)]);
    const data = ['--data', at('publisher'), '--json'];
    const adder = ['repository', '--model', 'adder'];

    const published = await swarm.run([
      'publish',
      ...adder,
      '--name',
      'adder',
      '--no-golden',
      ...data,
    ]);
    const { reference, version } = ok(published) as { reference: string; version: string };
    expect(published.events).toContainEqual({
      event: 'note',
      text: 'field response_cache has no counterpart here and is left out',
    });
    // The folder that the package was in is gone with the command.
    expect(await readdir(at('publisher/import'))).toEqual([]);

    const inferred = await swarm.run(['infer', reference, '--request', '-'], REQUEST);
    ok(inferred);
    expect(JSON.parse(inferred.stdout)).toMatchObject({
      outputs: [{ name: 'sum', data: [2, 3, 4, 5] }],
      parameters: { version },
    });

    const exported = await swarm.run([
      'models',
      'export',
      reference,
      '--format',
      'triton',
      '--out',
      'made/adder',
      '--json',
    ]);
    expect(ok(exported)).toMatchObject({ event: 'exported', version, format: 'triton' });
    expect(Object.keys(await readTree(at('made'))).sort()).toEqual(
      ['1/model.onnx', '1/swarm.json', '1/w.bin', 'config.pbtxt', 'labels.txt'].map(
        (name) => `adder/${name}`,
      ),
    );
    expect(await readFile(at('made/adder/labels.txt'), 'utf8')).toBe('north\neast\nsouth\nwest\n');

    const plain = await swarm.run(['models', 'export', version, '--out', 'plain', '--json']);
    expect(ok(plain)).toMatchObject({ files: ['model.onnx', 'swarm.json', 'w.bin'] });
    await using packed = await packModel(at('plain'));
    expect(packed.cid).toBe(version);

    // Neither joins a swarm.
    for (const [what, out] of [
      [['made'], 'back'],
      [adder, 'first'],
    ] as const) {
      ok(
        await runSwarm(['models', 'import', ...what, '--out', out, '--json'], {
          cwd: swarm.folder,
        }),
      );
      expect(await readTree(at(out))).toEqual(await readTree(at('plain')));
    }
    expect((await readdir(swarm.folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('say on one line what is wrong, and leave nothing behind', async () => {
    await using swarm = await ProcessSwarm.create();
    await writeTree(swarm.folder, {
      ...REPOSITORY,
      'full/x': '',
      'bad/config.pbtxt': 'max_batch_size: {',
      'bad/1/x': '',
    });
    const nobody = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme';
    for (const [args, code, says] of [
      [['models', 'import', 'repository', '--out', 'out'], 5, 'found: adder, other'],
      [['models', 'import', 'bad', '--out', 'out'], 5, 'config.pbtxt:1:18: expected a field name'],
      [
        ['models', 'import', 'repository', '--model', 'adder', '--out', 'full'],
        5,
        'expected a new or an empty one',
      ],
      [
        [
          'models',
          'import',
          'repository',
          '--model',
          'adder',
          '--triton-version',
          'two',
          '--out',
          'out',
        ],
        2,
        "--triton-version is 'two'",
      ],
      [
        ['models', 'import', 'https://example.org/m.onnx', '--out', 'out'],
        5,
        'comes without the sha256',
      ],
      [
        ['models', 'export', 'repository/adder/2/model.onnx', '--format', 'onnx', '--out', 'out'],
        2,
        "--format is 'onnx', expected dir or triton",
      ],
    ] as const) {
      const { code: found, stderr } = await runSwarm(args, { cwd: swarm.folder });
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(stderr).toContain(says);
      expect(found).toBe(code);
    }
    const missing = await swarm.run([
      'models',
      'export',
      nobody,
      '--out',
      'out',
      '--timeout',
      '20000',
    ]);
    expect([3, 7], missing.stderr).toContain(missing.code);
    expect(await readTree(path.join(swarm.folder, 'out'))).toEqual({});
  });
});
