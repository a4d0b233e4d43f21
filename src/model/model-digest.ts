import { createHash } from 'node:crypto';
import type { AbortOptions } from '../../protocols/types.ts';
import type { ByteSource } from './byte-source.ts';
import type { PackageFiles } from './package-source.ts';

/** Bytes read at once. */
const READ_BYTES = 4 * 1024 * 1024;

/**
 * One sha256, in hexadecimal, over all the files a model is made of: another one when any of their bytes or names changes.
 *
 * @param names of the .onnx file and its external data, in any order
 */
export async function digestModel(
  files: PackageFiles,
  names: readonly string[],
  options: AbortOptions = {},
): Promise<string> {
  const all = createHash('sha256');
  for (const name of names.toSorted()) {
    all.update(`${name}\0${await digestFile(await files.open(name), options)}\n`);
    await files.letGo(name);
  }
  return all.digest('hex');
}

async function digestFile(file: ByteSource, { signal }: AbortOptions): Promise<string> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < file.size; offset += READ_BYTES) {
    signal?.throwIfAborted();
    hash.update(await file.read(offset, Math.min(READ_BYTES, file.size - offset)));
  }
  return hash.digest('hex');
}
