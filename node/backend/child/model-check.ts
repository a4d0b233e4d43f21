import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidModelError, isSwarmError, StoreError } from '../../../protocols/errors.ts';
import { type FileSource, openFileSource } from '../../../src/model/byte-source.ts';
import {
  checkExternalFiles,
  checkOnnxGraph,
  type ModelInterface,
  type ModelLimits,
} from '../../../src/model/model-scan.ts';
import { readOnnxGraph } from '../../../src/model/onnx-reader.ts';
import type { LoadCommand } from '../pipe-message.ts';

/**
 * Looks at a model before the runtime does: here, where a file made to break its reader breaks nothing else.
 *
 * @throws {ERR_INVALID_MODEL} when the file is not a model that may be served.
 * @throws {ERR_STORE} when the disk does not give it.
 */
export async function checkModelFile(
  { directory, entry }: Pick<LoadCommand, 'directory' | 'entry'>,
  limits: ModelLimits = {},
): Promise<ModelInterface> {
  const source = await openEntry(directory, entry);
  try {
    const graph = await readOnnxGraph(source, { fileName: entry });
    // The names of external files are fit to be used as such from here on.
    const found = checkOnnxGraph(graph, limits);
    checkExternalFiles(graph, await fileSizes(directory, graph.externalFiles));
    return found;
  } finally {
    await source.close();
  }
}

/** The errors of {@link openFileSource} name the path, which is this host's affair. */
async function openEntry(directory: string, entry: string): Promise<FileSource> {
  try {
    return await openFileSource(join(directory, entry));
  } catch (cause) {
    if (isSwarmError(cause) && cause.code === 'ERR_STORE') {
      throw new StoreError(`${entry} cannot be read from the version's folder`, { cause });
    }
    throw new InvalidModelError(`${entry} is not a file in the version's folder`, { cause });
  }
}

/** Sizes of those that are there; a link is not, for the runtime would follow it out of the folder. */
async function fileSizes(
  directory: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of names) {
    const file = await lstat(join(directory, name)).catch(() => undefined);
    if (file?.isFile() === true) sizes.set(name, file.size);
  }
  return sizes;
}
