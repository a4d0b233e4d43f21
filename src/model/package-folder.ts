import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidModelError, NotFoundError, StoreError } from '../../protocols/errors.ts';
import { fileNameFault, fileNameKey, MAX_FILES } from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { PACKAGE_FILE_NAME, packageFileFault } from './package-file.ts';

/** What lies where a package is looked for; nothing is opened yet. */
export interface PackageFolder {
  /** The folder the files are in. */
  readonly folder: string;
  /** Bytes of the files that belong to the version whatever the model refers to, by name. */
  readonly fileBytes: ReadonlyMap<string, number>;
}

/**
 * Finds a package: a folder, all of whose files belong to it, or a lone .onnx file.
 *
 * Names that begin with a dot are passed over: systems leave such files behind, and what is hidden is not meant to be
 * published. Everything else that is no regular file is refused rather than left out, or a version would lack it silently.
 *
 * @throws {ERR_NOT_FOUND} when nothing is there.
 * @throws {ERR_INVALID_MODEL} that names a link, a folder within, or a name that not every system can store.
 */
export async function findPackage(location: string): Promise<PackageFolder> {
  const found = await stat(location).catch((error: unknown) => {
    throw notReadable(location, error);
  });
  if (found.isDirectory()) return { folder: location, fileBytes: await listFolder(location) };
  const name = path.basename(location);
  if (!isOnnxName(name)) {
    throw new InvalidModelError(
      `${quoted(name)} is no package, expected an .onnx file or a folder with one`,
    );
  }
  const folder = path.dirname(location);
  return { folder, fileBytes: new Map([[name, await mustMeasure(folder, name)]]) };
}

/**
 * The .onnx file of a package that is to be loaded.
 *
 * @param wanted what the package file says
 * @throws {ERR_INVALID_MODEL} when it is not there, there is none, or there are several and nothing says which.
 */
export function chooseEntry(names: Iterable<string>, wanted: string | undefined): string {
  const models = [...names].filter(isOnnxName);
  const found = models.length === 0 ? 'no .onnx file' : models.slice(0, 5).map(quoted).join(', ');
  if (wanted !== undefined) {
    if (models.includes(wanted)) return wanted;
    throw packageFileFault(
      `field entry: ${quoted(wanted)} is not an .onnx file of the package, found ${found}`,
    );
  }
  const [only] = models;
  if (only !== undefined && models.length === 1) return only;
  throw new InvalidModelError(
    models.length === 0
      ? 'package has no .onnx file, expected one'
      : `package has ${models.length} .onnx files, expected one, or its name as 'entry' in ${PACKAGE_FILE_NAME}; found ${found}`,
  );
}

/**
 * Checks that a name in a package's folder is one that any system can store, and that a regular file bears it.
 *
 * @returns its bytes, undefined when nothing is there
 * @throws {ERR_INVALID_MODEL} naming it
 */
export async function measureFile(folder: string, name: string): Promise<number | undefined> {
  const fault = fileNameFault(name);
  if (fault !== undefined) throw refused(name, `has a name that ${fault}`);
  let found: Stats;
  try {
    found = await lstat(path.join(folder, name));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw notReadable(path.join(folder, name), error);
  }
  if (found.isSymbolicLink()) throw refused(name, 'is a symbolic link, expected the file itself');
  if (found.isDirectory()) throw refused(name, 'is a folder, expected regular files only');
  if (!found.isFile()) throw refused(name, 'is neither file nor folder');
  return found.size;
}

async function listFolder(folder: string): Promise<Map<string, number>> {
  const found = await readdir(folder).catch((error: unknown) => {
    throw notReadable(folder, error);
  });
  const names = found.filter((name) => !name.startsWith('.')).sort();
  if (names.length > MAX_FILES) {
    throw new InvalidModelError(`package has ${names.length} files, expected at most ${MAX_FILES}`);
  }
  const fileBytes = new Map<string, number>();
  const byKey = new Map<string, string>();
  for (const name of names) {
    fileBytes.set(name, await mustMeasure(folder, name));
    const twin = byKey.get(fileNameKey(name));
    if (twin !== undefined) throw refused(name, `is one with ${quoted(twin)} on some systems`);
    byKey.set(fileNameKey(name), name);
  }
  return fileBytes;
}

async function mustMeasure(folder: string, name: string): Promise<number> {
  const size = await measureFile(folder, name);
  if (size === undefined) throw refused(name, 'vanished meanwhile');
  return size;
}

function isOnnxName(name: string): boolean {
  return name.toLowerCase().endsWith('.onnx');
}

function refused(name: string, fault: string): InvalidModelError {
  return new InvalidModelError(`package file ${quoted(name)} ${fault}`, {
    details: { file: name },
  });
}

function notReadable(location: string, cause: unknown): Error {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new NotFoundError(`'${location}' does not exist, expected an .onnx file or a folder`, {
      cause,
    });
  }
  return new StoreError(`'${location}' cannot be read: ${code}`, { cause });
}
