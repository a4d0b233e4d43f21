import { InvalidModelError } from '../../protocols/errors.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { ModelInterface } from './model-scan.ts';
import type { PackageSettings } from './package-file.ts';
import { findPackage } from './package-folder.ts';
import { inspectPackage } from './package-inspection.ts';
import { PackageFiles } from './package-source.ts';

/** What belongs to a package that packing would take. */
export interface PackageContents {
  readonly folder: string;
  /** The .onnx file that is loaded. */
  readonly entry: string;
  /** Names of all files, those of external data included. */
  readonly names: readonly string[];
  readonly settings: PackageSettings;
  /** What the scan found. */
  readonly model: ModelInterface;
}

/**
 * Reads what belongs to a package, without hashing its files.
 *
 * @throws {ERR_NOT_FOUND | ERR_INVALID_MODEL} as packing would.
 */
export async function readPackage(
  location: string,
  options: AbortOptions = {},
): Promise<PackageContents> {
  const found = await findPackage(location);
  await using files = new PackageFiles(found.folder);
  const inspected = await inspectPackage(found, files, { signal: options.signal });
  if (inspected === undefined) throw new InvalidModelError('package cannot be described');
  const { entry, settings, fileBytes, model } = inspected;
  return { folder: found.folder, entry, settings, names: [...fileBytes.keys()].sort(), model };
}
