import { appendFile, mkdir, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOfCid, sha256 } from '../../../../protocols/digest.ts';
import {
  decodeChunkList,
  decodeManifest,
  manifestCid,
} from '../../../../protocols/manifest/index.ts';
import { type PackedVersion, packModel } from '../../../../src/model/package.ts';
import { addModel } from '../../../support/models.ts';
import { noise } from '../../../support/noise.ts';
import { buildModel } from '../../../support/onnx-builder.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

type Files = Readonly<Record<string, Uint8Array | string>>;

async function folderWith(files: Files) {
  const folder = await createTestFolder();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), content);
  }
  return folder;
}

/** `y FP32 [n] = x FP32 [n] + w FP32 [n]`, `w` in `w.bin`. */
function externalModel(values: number, location = 'w.bin'): Uint8Array {
  return buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [values] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [values] }],
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [{ name: 'w', datatype: 'FP32', shape: [values], external: { location } }],
  });
}

/** One vector of {@link addModel}. */
const GOLDEN = JSON.stringify({
  cases: [
    {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
      outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 4], data: [2, 3, 4, 5] }],
    },
  ],
});

/** A version's files as a node would put them together: from blocks alone. */
async function fetchFiles({ cid, source }: PackedVersion): Promise<Record<string, Buffer>> {
  const read = async (digest: Uint8Array): Promise<Uint8Array> =>
    present(await source.read(digest));
  const manifest = decodeManifest(await read(digestOfCid(cid)), cid);
  const files: Record<string, Buffer> = {};
  for (const file of manifest.files) {
    const list = decodeChunkList(await read(digestOfCid(file.chunks)), file.chunks);
    const chunks = await Promise.all(list.map(({ digest }) => read(digest)));
    const bytes = Buffer.concat(chunks);
    expect(sha256(bytes)).toEqual(file.sha256);
    files[file.path] = bytes;
  }
  return files;
}

describe('packModel', () => {
  it('gives every file back byte for byte, the package file and empty ones included', async () => {
    const settings = `{ "metadata": {"task": "sum"} }\n`;
    const files = {
      'model.onnx': externalModel(1_000_000),
      'w.bin': noise(4_000_000, 1),
      'swarm.json': settings,
      LICENCE: '',
    };
    await using folder = await folderWith(files);
    await using version = await packModel(folder.path);
    const fetched = await fetchFiles(version);
    expect(Object.keys(fetched)).toEqual(['LICENCE', 'model.onnx', 'swarm.json', 'w.bin']);
    const same = Object.entries(files).map(([name, content]) =>
      Buffer.from(content).equals(present(fetched[name])),
    );
    expect(same).toEqual([true, true, true, true]);
    expect(version.manifest).toEqual(decodeManifest(version.manifestBytes, version.cid));
    expect(manifestCid(version.manifestBytes)).toBe(version.cid);
    // What is exported and packed again is the same version.
    await using copy = await folderWith(fetched);
    await using again = await packModel(copy.path);
    expect(again.cid).toBe(version.cid);
  });

  it('puts into the manifest what graph and package file say', async () => {
    await using folder = await folderWith({
      'add.onnx': addModel(),
      'swarm.json': JSON.stringify({
        metadata: { task: 'sum', labels: { a: 'b' } },
        deployment: { minReplicas: 0, maxReplicas: 3 },
        classLabels: ['a', 'b', 'c', 'd'],
        answer: { kind: 'argmax', output: 'sum' },
      }),
    });
    await using version = await packModel(folder.path);
    expect(version.manifest).toMatchObject({
      schema: 1,
      entry: 'add.onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
      outputs: [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }],
      metadata: { task: 'sum', labels: { a: 'b' } },
      deployment: { minReplicas: 0, maxReplicas: 3 },
      classLabels: ['a', 'b', 'c', 'd'],
      answer: { kind: 'argmax', output: 'sum' },
    });
    expect(version.manifest.preprocessing).toBeUndefined();
  });

  it('gives the same CID for the same files, wherever, whenever and in whatever order they were written', async () => {
    const files = { 'b.onnx': addModel(), 'a.txt': 'a', 'c.txt': 'c' };
    await using first = await folderWith(files);
    await using second = await folderWith(Object.fromEntries(Object.entries(files).toReversed()));
    for (const name of Object.keys(files)) await utimes(path.join(second.path, name), 1, 1);
    await writeFile(path.join(second.path, '.DS_Store'), 'left by a system');
    await using one = await packModel(first.path);
    await using two = await packModel(`${second.path}${path.sep}`);
    expect(two.cid).toBe(one.cid);
    await appendFile(path.join(second.path, 'a.txt'), 'x');
    await using three = await packModel(second.path);
    expect(three.cid).not.toBe(one.cid);
  });

  it('gives one CID for the same golden vectors, in a folder or beside a lone file of the same names', async () => {
    const files = { 'add.onnx': addModel(), 'add.golden.json': GOLDEN };
    await using lone = await folderWith({ ...files, 'other.txt': 'not its' });
    await using folder = await folderWith(Object.fromEntries(Object.entries(files).toReversed()));
    await utimes(path.join(folder.path, 'add.golden.json'), 1, 1);
    await using one = await packModel(path.join(lone.path, 'add.onnx'));
    await using two = await packModel(folder.path);
    expect(one.manifest.golden).toEqual({ file: 'add.golden.json' });
    expect(two.cid).toBe(one.cid);
    await rm(path.join(folder.path, 'add.golden.json'));
    await using three = await packModel(folder.path);
    expect(three.manifest.golden).toBeUndefined();
    expect(three.cid).not.toBe(one.cid);
  });

  it('refuses golden vectors that are not for the model, and a file of them that is not there', async () => {
    await using wrong = await folderWith({
      'add.onnx': addModel(),
      'golden.json': GOLDEN.replace('[1,4]', '[4]'),
    });
    await expect(packModel(wrong.path)).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        "golden.json field cases[0]: input 'x' has shape [4], expected [batch, 4]",
      ),
    );
    await using gone = await folderWith({
      'add.onnx': addModel(),
      'swarm.json': JSON.stringify({ golden: { file: 'mine.json' } }),
    });
    await expect(packModel(gone.path)).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        "swarm.json field golden.file: 'mine.json' is not a file of the package",
      ),
    );
  });

  it('gives the CID that every earlier version gave', async () => {
    await using folder = await folderWith({ 'model.onnx': addModel() });
    await using version = await packModel(folder.path);
    expect(version.cid).toMatchInlineSnapshot(
      `"bafyreihm44nckfxyp3452texriouiovjasam5cido4xqmj6ysj5lk7yegy"`,
    );
  });

  it('packs of a lone file only what the model refers to', async () => {
    await using folder = await folderWith({
      'm.onnx': externalModel(2),
      'w.bin': new Uint8Array(8),
      'other.onnx': addModel(),
      'swarm.json': 'not for this file',
    });
    await using version = await packModel(path.join(folder.path, 'm.onnx'));
    expect(version.manifest.files.map(({ path, size }) => [path, size])).toEqual([
      ['m.onnx', externalModel(2).byteLength],
      ['w.bin', 8],
    ]);
  });

  it('takes a hidden file along when the model refers to it', async () => {
    await using folder = await folderWith({
      'm.onnx': externalModel(2, '.weights'),
      '.weights': new Uint8Array(8),
    });
    await using version = await packModel(folder.path);
    expect(Object.keys(await fetchFiles(version))).toEqual(['.weights', 'm.onnx']);
  });

  it('tells how far it is, up to all bytes', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel(), 'a.bin': noise(3_000_000, 1) });
    const told: [number, number][] = [];
    await using _version = await packModel(folder.path, {
      onProgress: (bytes, totalBytes) => told.push([bytes, totalBytes]),
    });
    const total = 3_000_000 + addModel().byteLength;
    expect(told.at(-1)).toEqual([total, total]);
    expect(told.length).toBeGreaterThan(3);
  });

  it('ends with its signal’s reason', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel(), 'a.bin': noise(3_000_000, 1) });
    const controller = new AbortController();
    const reason = new Error('enough');
    const packing = packModel(folder.path, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(packing).rejects.toBe(reason);
  });
});

describe('packModel on packages it refuses', () => {
  it.each<[what: string, files: Files, message: string]>([
    ['an empty folder', {}, 'package has no .onnx file'],
    ['a corrupt model', { 'm.onnx': addModel().subarray(0, 60) }, 'm.onnx is not a valid ONNX'],
    ['a page of HTML', { 'm.onnx': '<html>404</html>' }, 'HTML or XML page'],
    [
      'external data that is not there',
      { 'm.onnx': externalModel(2) },
      "m.onnx keeps tensor 'w' in 'w.bin', which is not beside it",
    ],
    [
      'external data cut short',
      { 'm.onnx': externalModel(2), 'w.bin': new Uint8Array(7) },
      "'w.bin' up to byte 8, the file has 7 bytes",
    ],
    [
      'external data elsewhere',
      { 'm.onnx': externalModel(2, '../w.bin') },
      "external file '../w.bin': the name holds one of",
    ],
    [
      'a package file that names no input',
      {
        'm.onnx': addModel(),
        'swarm.json': '{"answer":{"kind":"argmax","output":"x"}}',
      },
      "swarm.json field answer: 'x' is not an output of the model",
    ],
    [
      'a package file with an unknown key',
      { 'm.onnx': addModel(), 'swarm.json': '{"min":2}' },
      "swarm.json unknown key 'min'",
    ],
    [
      'a package file that is too large',
      { 'm.onnx': addModel(), 'swarm.json': ' '.repeat(1024 * 1024 + 1) },
      'swarm.json has 1048577 bytes, expected at most 1048576',
    ],
    [
      'a dimension that a manifest cannot say',
      {
        'm.onnx': buildModel({
          inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'.repeat(1025)] }],
          outputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
          nodes: [],
        }),
      },
      'm.onnx cannot be described: manifest field inputs[0].shape[0]: ',
    ],
  ])('refuses %s', async (_what, files, message) => {
    await using folder = await folderWith(files);
    const packing = packModel(folder.path);
    await expect(packing).rejects.toMatchObject({ code: 'ERR_INVALID_MODEL' });
    await expect(packing).rejects.toThrow(message);
  });

  it('refuses external data that is a folder, by name', async () => {
    await using folder = await folderWith({ 'm.onnx': externalModel(2) });
    await mkdir(path.join(folder.path, 'w.bin'));
    await expect(packModel(path.join(folder.path, 'm.onnx'))).rejects.toThrow(
      "package file 'w.bin' is a folder",
    );
  });

  it('refuses what does not fit into a manifest', async () => {
    const classLabels = Array.from({ length: 2035 }, () => 'ü'.repeat(256));
    const files: Record<string, Uint8Array | string> = { 'm.onnx': addModel() };
    files['swarm.json'] = JSON.stringify({ classLabels });
    for (let index = 0; index < 20; index += 1) files[`f${index}`] = '';
    await using folder = await folderWith(files);
    await expect(packModel(folder.path)).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: expect.stringMatching(/^manifest has 105\d{4} bytes, expected at most 1048576$/),
    });
  });

  it('notices a file that changes while it is read', async () => {
    await using folder = await folderWith({ 'a.onnx': addModel(), 'b.bin': noise(3_000_000, 1) });
    const file = path.join(folder.path, 'b.bin');
    const change = async (how: () => Promise<void>): Promise<void> => {
      let changing: Promise<void> | undefined;
      const packing = packModel(folder.path, {
        onProgress: (bytes) => {
          if (bytes > 1_000_000) changing ??= how();
        },
      });
      await expect(packing).rejects.toMatchObject({
        code: 'ERR_INVALID_MODEL',
        message: expect.stringMatching(/chang(ed|e) meanwhile/),
      });
      await changing;
    };
    await change(() => utimes(file, 1, 1));
    await change(() => appendFile(file, 'x'));
  });
});

describe('PackedVersion.source', () => {
  it('knows nothing of blocks of other versions', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel() });
    await using version = await packModel(folder.path);
    expect(await version.source.read(new Uint8Array(32))).toBeUndefined();
  });

  it('refuses a block whose file has changed, and serves those around it', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel(), 'w.bin': noise(6_000_000, 1) });
    const file = path.join(folder.path, 'w.bin');
    await using version = await packModel(folder.path);
    const cid = present(version.manifest.files[1]?.chunks);
    const list = await version.source.read(digestOfCid(cid));
    const chunks = decodeChunkList(present(list), cid);
    const [first, second] = [present(chunks[0]), present(chunks[1])];
    const changed = noise(6_000_000, 1);
    changed.set([1, 2, 3], first.size - 10);
    await writeFile(file, changed);
    await expect(version.source.read(first.digest)).rejects.toMatchObject({
      code: 'ERR_CORRUPT',
      message: expect.stringContaining("file 'w.bin' changed since it was packed: bytes 0 to"),
    });
    expect(await version.source.read(second.digest)).toHaveLength(second.size);
    await truncate(file, 100);
    await expect(version.source.read(second.digest)).rejects.toMatchObject({ code: 'ERR_CORRUPT' });
  });

  it('still serves a file that was replaced or deleted: it is open', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel() });
    const file = path.join(folder.path, 'm.onnx');
    await using version = await packModel(folder.path);
    await writeFile(`${file}.new`, addModel(2));
    await rename(`${file}.new`, file);
    expect((await fetchFiles(version))['m.onnx']).toEqual(Buffer.from(addModel()));
  });

  it('serves from more files than it keeps open, and says when one of those is gone', async () => {
    const files: Record<string, Uint8Array> = { 'm.onnx': addModel() };
    for (let index = 0; index < 100; index += 1) files[`f${index}`] = noise(100, index + 1);
    await using folder = await folderWith(files);
    await using version = await packModel(folder.path);
    expect(Object.keys(await fetchFiles(version))).toHaveLength(101);
    const last = present(version.manifest.files.find(({ path }) => path === 'f99'));
    await rm(path.join(folder.path, 'f99'));
    await expect(version.source.read(last.sha256)).rejects.toMatchObject({
      code: 'ERR_CORRUPT',
      message: expect.stringContaining("file 'f99' changed"),
    });
  });

  it('is closed with its version', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel() });
    const version = await packModel(folder.path);
    const { sha256 } = present(version.manifest.files[0]);
    expect(await version.source.read(sha256)).toBeDefined();
    await version[Symbol.asyncDispose]();
    await version[Symbol.asyncDispose]();
    await expect(version.source.read(sha256)).rejects.toMatchObject({ code: 'ERR_STORE' });
  });

  it('gives up a read whose signal has fired', async () => {
    await using folder = await folderWith({ 'm.onnx': addModel() });
    await using version = await packModel(folder.path);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(version.source.read(digestOfCid(version.cid), { signal })).rejects.toThrow(
      'enough',
    );
  });
});
