import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidModelError, NotFoundError, StoreError } from '../../protocols/errors.ts';
import {
  fileNameFault,
  fileNameKey,
  GOLDEN_FILE_NAME,
  MAX_FILES,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { type ReportFault, throwFault } from './package-fault.ts';
import { PACKAGE_FILE_NAME, packageFileFault } from './package-file.ts';

/** What lies where a package is looked for; nothing is opened yet. */
export interface PackageFolder {
  /** The folder the files are in. */
  readonly folder: string;
  /** Bytes of the files that belong to the version whatever the model refers to, by name. */
  readonly fileBytes: ReadonlyMap<string, number>;
  /** Where golden vectors are written when there are none yet. */
  readonly goldenFile: string;
}

/**
 * Finds a package: a folder, all of whose files belong to it, or a lone .onnx file.
 *
 * Names that begin with a dot are passed over: systems leave such files behind, and what is hidden is not meant to be
 * published. Everything else that is no regular file is refused rather than left out, or a version would lack it silently.
 *
 * Of a lone file, what is found beside it by its name comes along: its golden vectors.
 *
 * @param report hears of each fault; files that are refused are left out then
 * @throws {ERR_NOT_FOUND} when nothing is there.
 * @throws {ERR_INVALID_MODEL} that names a link, a folder within, or a name that not every system can store.
 */
export async function findPackage(
  location: string,
  report: ReportFault = throwFault,
): Promise<PackageFolder> {
  const found = await stat(location).catch((error: unknown) => {
    throw notReadable(location, error);
  });
  if (found.isDirectory()) {
    const fileBytes = await listFolder(location, report);
    return { folder: location, fileBytes, goldenFile: GOLDEN_FILE_NAME };
  }
  const name = path.basename(location);
  if (!isOnnxName(name)) {
    throw new InvalidModelError(
      `${quoted(name)} is no package, expected an .onnx file or a folder with one`,
    );
  }
  const folder = path.dirname(location);
  const fileBytes = new Map([[name, await mustMeasure(folder, name)]]);
  const goldenFile = goldenFileOf(name);
  const goldenBytes = await measureFile(folder, goldenFile);
  if (goldenBytes !== undefined) fileBytes.set(goldenFile, goldenBytes);
  return { folder, fileBytes, goldenFile };
}

/**
 * The .onnx file of a package that is to be loaded.
 *
 * @param wanted what the package file says
 * @throws {ERR_INVALID_MODEL} when it is not there, there is none, or there are several and nothing says which.
 */
export function chooseEntry(names: Iterable<string>, wanted: string | undefined): string;
export function chooseEntry(
  names: Iterable<string>,
  wanted: string | undefined,
  report: ReportFault,
): string | undefined;
export function chooseEntry(
  names: Iterable<string>,
  wanted: string | undefined,
  report: ReportFault = throwFault,
): string | undefined {
  const models = [...names].filter(isOnnxName);
  const found = models.length === 0 ? 'no .onnx file' : models.slice(0, 5).map(quoted).join(', ');
  if (wanted !== undefined) {
    if (models.includes(wanted)) return wanted;
    const fault = `${quoted(wanted)} is not an .onnx file of the package, found ${found}`;
    report(packageFileFault('entry', fault));
    return undefined;
  }
  const [only] = models;
  if (only !== undefined && models.length === 1) return only;
  report(
    new InvalidModelError(
      models.length === 0
        ? 'package has no .onnx file, expected one'
        : `package has ${models.length} .onnx files, expected one, or its name as 'entry' in ${PACKAGE_FILE_NAME}; found ${found}`,
    ),
  );
  return undefined;
}

/**
 * The file of a package that holds its golden vectors, undefined when none does: the one that its package file names, else
 * {@link GOLDEN_FILE_NAME}, else the one that has its name from the entry, as a lone .onnx file has it beside it.
 *
 * @throws {ERR_INVALID_MODEL} when there are two and nothing says which.
 */
export function chooseGolden(
  names: ReadonlySet<string>,
  entry: string,
  wanted: string | undefined,
  report: ReportFault = throwFault,
): string | undefined {
  // One that is not there is a fault of the package file's, and reported with the others.
  if (wanted !== undefined) return names.has(wanted) ? wanted : undefined;
  const found = [GOLDEN_FILE_NAME, goldenFileOf(entry)].filter((name) => names.has(name));
  const [first, second] = found;
  if (first !== undefined && second !== undefined) {
    report(
      new InvalidModelError(
        `package has golden vectors in ${quoted(first)} and in ${quoted(second)}, expected one file, or its name as 'golden.file' in ${PACKAGE_FILE_NAME}`,
      ),
    );
  }
  return first;
}

/** The golden vectors of an .onnx file, beside it: `iris.golden.json` for `iris.onnx`. */
export function goldenFileOf(entry: string): string {
  return `${path.parse(entry).name}.${GOLDEN_FILE_NAME}`;
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

async function listFolder(folder: string, report: ReportFault): Promise<Map<string, number>> {
  const found = await readdir(folder).catch((error: unknown) => {
    throw notReadable(folder, error);
  });
  const names = found.filter((name) => !name.startsWith('.')).sort();
  if (names.length > MAX_FILES) {
    report(
      new InvalidModelError(`package has ${names.length} files, expected at most ${MAX_FILES}`),
    );
  }
  const fileBytes = new Map<string, number>();
  const byKey = new Map<string, string>();
  for (const name of names) {
    try {
      fileBytes.set(name, await mustMeasure(folder, name));
    } catch (error) {
      if (!(error instanceof InvalidModelError)) throw error;
      report(error);
    }
    const twin = byKey.get(fileNameKey(name));
    if (twin !== undefined) report(refused(name, `is one with ${quoted(twin)} on some systems`));
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
