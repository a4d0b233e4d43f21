import path from 'node:path';
import type { AbortOptions } from '../../../protocols/types.ts';
import { readServableGraph } from '../import/staged-model.ts';
import { TRITON_CONFIG_NAME } from '../import/triton-repository.ts';
import { readPackage } from '../package-contents.ts';
import { PackageStaging } from '../package-staging.ts';
import { describeForTriton, LABEL_FILE_NAME } from './triton-config.ts';

/** Forms in which a package can be given back. */
export const EXPORT_FORMATS = ['dir', 'triton'] as const;

export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportOptions extends AbortOptions {
  readonly format: ExportFormat;
  /** Whether the files may share their bytes with the package's, which is removed then. @default false */
  readonly link?: boolean | undefined;
}

export interface ExportedPackage {
  readonly folder: string;
  /** Paths within the folder. */
  readonly files: readonly string[];
  /** What the format cannot say, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Writes a package out: `dir` gives its files back, byte for byte, so that they pack to the same version; `triton` makes a
 * model of a Triton repository, which imports back to the same files.
 *
 * @param folder a new or an empty one; gone again when the export fails
 * @throws {ERR_NOT_FOUND | ERR_INVALID_MODEL} as packing would. {ERR_INVALID_INPUT} when the folder is not empty.
 */
export async function exportPackage(
  location: string,
  folder: string,
  { format, link, signal }: ExportOptions,
): Promise<ExportedPackage> {
  const contents = await readPackage(location, { signal });
  const outer = await PackageStaging.create(folder, { link, signal });
  try {
    const within = format === 'triton' ? '1' : '';
    const inner =
      within === ''
        ? outer
        : await PackageStaging.create(path.join(folder, within), { link, signal });
    for (const name of contents.names) await inner.add(name, path.join(contents.folder, name));
    const files = contents.names.map((name) => path.posix.join(within, name));
    if (format === 'dir') return { folder, files, notes: [] };
    const graph = await readServableGraph(path.join(contents.folder, contents.entry), { signal });
    const { config, labels, notes } = describeForTriton(contents.entry, graph, contents.settings);
    await outer.write(TRITON_CONFIG_NAME, Buffer.from(config));
    if (labels !== undefined) await outer.write(LABEL_FILE_NAME, Buffer.from(labels));
    const beside = [TRITON_CONFIG_NAME, ...(labels === undefined ? [] : [LABEL_FILE_NAME])];
    return { folder, files: [...files, ...beside].sort(), notes };
  } catch (error) {
    await outer.discard();
    throw error;
  }
}
