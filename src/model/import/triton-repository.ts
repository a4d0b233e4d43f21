import { type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { InvalidModelError, NotFoundError, StoreError } from '../../../protocols/errors.ts';
import { quoted } from '../../../protocols/quoted.ts';

/** The file of a Triton model that says how it is served. */
export const TRITON_CONFIG_NAME = 'config.pbtxt';

/** The file that Triton's ONNX Runtime backend loads when the configuration names none. */
export const TRITON_MODEL_FILE = 'model.onnx';

/** Triton takes folders whose names are numbers and do not begin with 0. */
const VERSION = /^[1-9]\d{0,14}$/;

/** True for a folder of one model: a configuration beside numbered folders, or such with a `model.onnx` in them. */
export async function isTritonModel(folder: string): Promise<boolean> {
  const entries = await list(folder).catch(() => []);
  const versions = versionsOf(entries);
  if (entries.some(({ name }) => name === TRITON_CONFIG_NAME)) return true;
  for (const version of versions) {
    const within = await list(path.join(folder, String(version))).catch(() => []);
    if (within.some(({ name }) => name === TRITON_MODEL_FILE)) return true;
  }
  return false;
}

/**
 * The version folder that is asked for, else the one of the highest number.
 *
 * @throws {ERR_NOT_FOUND} that lists the versions there are.
 */
export async function chooseTritonVersion(
  folder: string,
  wanted: number | undefined,
): Promise<number> {
  const versions = versionsOf(await list(folder));
  const found = versions.length === 0 ? 'none' : versions.join(', ');
  const chosen = wanted === undefined ? versions.at(-1) : wanted;
  if (chosen !== undefined && versions.includes(chosen)) return chosen;
  const expected = wanted === undefined ? "a version folder such as '1'" : `version ${wanted}`;
  throw new NotFoundError(`Triton model '${folder}' lacks ${expected}, found: ${found}`);
}

/**
 * The folder that the model's file and what it refers to lie in. Triton takes a file, or a folder of the same name with the
 * file and its external data in it.
 *
 * @throws {ERR_INVALID_MODEL} that names a link or what else is no regular file.
 */
export async function findTritonFiles(
  folder: string,
  version: number,
  modelFile: string,
): Promise<{ readonly folder: string; readonly names: readonly string[] }> {
  const versionFolder = path.join(folder, String(version));
  const entries = await list(versionFolder);
  const model = entries.find(({ name }) => name === modelFile);
  if (model === undefined) {
    const found = entries.map(({ name }) => quoted(name)).join(', ') || 'nothing';
    throw new InvalidModelError(
      `version ${version} of the Triton model lacks ${quoted(modelFile)}, found ${found}`,
      { details: { file: modelFile } },
    );
  }
  const inFolder = model.isDirectory();
  const files = inFolder ? path.join(versionFolder, modelFile) : versionFolder;
  const within = inFolder ? await list(files) : entries;
  const names = within.map(({ name }) => name).filter((name) => !name.startsWith('.'));
  return { folder: files, names: names.sort() };
}

function versionsOf(entries: readonly Dirent[]): number[] {
  return entries
    .filter((entry) => entry.isDirectory() && VERSION.test(entry.name))
    .map(({ name }) => Number(name))
    .sort((a, b) => a - b);
}

async function list(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new StoreError(`folder '${folder}' cannot be read: ${code}`, { cause });
  });
}
