import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestModel } from '../../../../src/model/model-digest.ts';
import { PackageFiles } from '../../../../src/model/package-source.ts';
import { noise } from '../../../support/noise.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

async function digestOf(files: Readonly<Record<string, Uint8Array>>, names = Object.keys(files)) {
  await using folder = await createTestFolder();
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), bytes);
  }
  await using opened = new PackageFiles(folder.path);
  return digestModel(opened, names);
}

describe('digestModel', () => {
  const files = { 'm.onnx': noise(100, 1), 'w.bin': noise(5_000_000, 2) };

  it('is one for the same files, in whatever order they are named', async () => {
    const digest = await digestOf(files);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await digestOf(files, ['w.bin', 'm.onnx'])).toBe(digest);
  });

  it('is another when a byte, a name or a file changes', async () => {
    const changed = Uint8Array.from(files['w.bin']);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    const digests = await Promise.all([
      digestOf(files),
      digestOf({ ...files, 'w.bin': changed }),
      digestOf({ 'm.onnx': files['m.onnx'], 'v.bin': files['w.bin'] }),
      digestOf(files, ['m.onnx']),
    ]);
    expect(new Set(digests).size).toBe(4);
  });
});
