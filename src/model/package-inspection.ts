import { InvalidModelError } from '../../protocols/errors.ts';
import { MAX_FILES, MAX_GOLDEN_BYTES } from '../../protocols/manifest/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { readGoldenFile } from './golden-file.ts';
import { externalNameFault } from './model-name.ts';
import { checkExternalFiles, checkOnnxGraph, type ModelInterface } from './model-scan.ts';
import type { OnnxGraph } from './onnx-graph.ts';
import { readOnnxGraph } from './onnx-reader.ts';
import { fieldFault, type ReportFault, throwFault } from './package-fault.ts';
import {
  checkFileReferences,
  checkTensorReferences,
  MAX_PACKAGE_FILE_BYTES,
  PACKAGE_FILE_NAME,
  type PackageSettings,
  packageFileFault,
  parsePackageFile,
} from './package-file.ts';
import { chooseEntry, chooseGolden, measureFile, type PackageFolder } from './package-folder.ts';
import type { PackageFiles } from './package-source.ts';

/** A package that was looked at and found in order; nothing is cut or hashed yet. */
export interface InspectedPackage {
  /** The .onnx file that is loaded. */
  readonly entry: string;
  readonly settings: PackageSettings;
  /** What the scan found: also the outputs that are left out, and why. */
  readonly model: ModelInterface;
  /** Bytes of every file of the version, those of external data included, by name. */
  readonly fileBytes: ReadonlyMap<string, number>;
  /** The .onnx file and its external data, as far as it is there. */
  readonly modelFiles: readonly string[];
  /** The file of golden vectors; undefined when the package has none. */
  readonly golden: string | undefined;
}

export interface InspectOptions extends AbortOptions {
  /** Hears of each fault, and may come back to hear of more. @default one that throws it */
  readonly report?: ReportFault | undefined;
}

/**
 * Looks at everything that packing could refuse, without hashing the files.
 *
 * @returns undefined when faults were reported that leave nothing to describe
 * @throws {ERR_INVALID_MODEL} the first fault, unless `report` takes it. {ERR_STORE} when the operating system refuses.
 */
export async function inspectPackage(
  found: PackageFolder,
  files: PackageFiles,
  { signal, report = throwFault }: InspectOptions = {},
): Promise<InspectedPackage | undefined> {
  const settings = await readSettings(found, files, report);
  // Without settings nobody knows which of several is meant; of a single one there is more to say.
  const entry = chooseEntry(found.fileBytes.keys(), settings?.entry, report);
  if (entry === undefined) return undefined;
  const graph = await readOnnxGraph(await files.open(entry), { fileName: entry, signal });
  const model = checkOnnxGraph(graph, { maxExternalFiles: MAX_FILES }, report);
  const fileBytes = await withExternalFiles(found, graph, report);
  checkExternalFiles(graph, fileBytes, report);
  if (settings === undefined) return undefined;
  checkTensorReferences(settings, model, report);
  const names = new Set(fileBytes.keys());
  checkFileReferences(settings, names, report);
  const golden = chooseGolden(names, entry, settings.golden?.file, report);
  if (golden !== undefined) await checkGolden(files, golden, model, report);
  const modelFiles = [...new Set([entry, ...graph.externalFiles])].filter((name) =>
    names.has(name),
  );
  return { entry, settings, model, fileBytes, modelFiles, golden };
}

async function readSettings(
  { fileBytes }: PackageFolder,
  files: PackageFiles,
  report: ReportFault,
): Promise<PackageSettings | undefined> {
  if (!fileBytes.has(PACKAGE_FILE_NAME)) return {};
  const file = await files.open(PACKAGE_FILE_NAME);
  if (file.size > MAX_PACKAGE_FILE_BYTES) {
    report(
      packageFileFault('', `has ${file.size} bytes, expected at most ${MAX_PACKAGE_FILE_BYTES}`),
    );
    return undefined;
  }
  return parsePackageFile(await file.read(0, file.size), report);
}

/** A file that is not there is left out: the check of external files says it with the tensor's name. */
async function withExternalFiles(
  { folder, fileBytes }: PackageFolder,
  graph: OnnxGraph,
  report: ReportFault,
): Promise<ReadonlyMap<string, number>> {
  const all = new Map(fileBytes);
  for (const name of graph.externalFiles) {
    // Names that lead elsewhere were reported; nothing is looked up by them.
    if (all.has(name) || externalNameFault(name) !== undefined) continue;
    try {
      const size = await measureFile(folder, name);
      if (size !== undefined) all.set(name, size);
    } catch (error) {
      if (!(error instanceof InvalidModelError)) throw error;
      report(error);
    }
  }
  return all;
}

/** What no node could read is better refused here. */
async function checkGolden(
  files: PackageFiles,
  name: string,
  model: ModelInterface,
  report: ReportFault,
): Promise<void> {
  const file = await files.open(name);
  if (file.size > MAX_GOLDEN_BYTES) {
    report(fieldFault(name, '', `has ${file.size} bytes, expected at most ${MAX_GOLDEN_BYTES}`));
    return;
  }
  const bytes = await file.read(0, file.size);
  // Read to its end, for its faults alone.
  for (const _case of readGoldenFile(bytes, { fileName: name, model, report }));
}
