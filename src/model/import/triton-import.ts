import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { InvalidModelError, LimitError, StoreError } from '../../../protocols/errors.ts';
import { fileNameFault, GOLDEN_FILE_NAME } from '../../../protocols/manifest/index.ts';
import { quoted } from '../../../protocols/quoted.ts';
import type { AbortOptions } from '../../../protocols/types.ts';
import type { OnnxGraph } from '../onnx-graph.ts';
import {
  MAX_PACKAGE_FILE_BYTES,
  PACKAGE_FILE_NAME,
  type PackageSettings,
  parsePackageFile,
} from '../package-file.ts';
import { mustBeFile, type PackageStaging } from '../package-staging.ts';
import { ConfigMessage } from './config-message.ts';
import { MAX_LABEL_FILE_BYTES, parseLabelFile } from './label-file.ts';
import { writeSettings } from './settings-file.ts';
import { readServableGraph, type StagedModel } from './staged-model.ts';
import {
  chooseTritonVersion,
  findTritonFiles,
  TRITON_CONFIG_NAME,
  TRITON_MODEL_FILE,
} from './triton-repository.ts';
import { mapTritonConfig } from './triton-settings.ts';
import type { LabelReference } from './triton-tensors.ts';

/** Bytes of a configuration; the longest of Triton's own tests has some thousands. */
export const MAX_TRITON_CONFIG_BYTES = 1024 * 1024;

/** What lies beside the configuration and belongs to the model: its card and its licence. */
const COMPANION = /^(?:readme|licen[cs]e|notice|copying)(?:\.\w+)?$/i;

export interface TritonImportOptions extends AbortOptions {
  /** @default the highest there is */
  readonly version?: number | undefined;
}

/**
 * Makes a package of a Triton model: all files of one version's folder, and its configuration as ours.
 *
 * @returns notes of what the configuration says that has no counterpart; golden vectors belong beside the version's model
 * @throws {ERR_INVALID_MODEL} that names the file, and in the configuration line, column and field.
 * @throws {ERR_NOT_FOUND} that lists the versions there are.
 */
export async function importTritonModel(
  folder: string,
  staging: PackageStaging,
  options: TritonImportOptions = {},
): Promise<StagedModel> {
  const version = await chooseTritonVersion(folder, options.version);
  const notes: string[] = [];
  const config = await readConfig(folder, notes);
  const modelFile = chooseModelFile(config);
  const files = await findTritonFiles(folder, version, modelFile);
  let given: Buffer | undefined;
  for (const name of files.names) {
    const size = await mustBeFile(files.folder, name);
    // What it says is merged with the configuration, and then written.
    if (name === PACKAGE_FILE_NAME) given = await readPackageFile(files.folder, size);
    else await staging.add(name, path.join(files.folder, name));
  }
  const graph = await readServableGraph(path.join(staging.folder, modelFile), options);
  const { settings, labels, notes: unmapped } = mapTritonConfig(config, graph);
  const named = await readLabels(folder, labels, graph, notes);
  const card = await addCompanions(folder, staging, new Set(labels.map(({ file }) => file)), notes);
  const several = staging.names.filter((name) => name.toLowerCase().endsWith('.onnx')).length > 1;
  const mapped = {
    ...(several ? { entry: modelFile } : {}),
    ...(card === undefined ? {} : { metadata: { modelCard: card } }),
    ...settings,
    ...named,
  };
  await writeSettings(staging, mapped, given);
  return {
    notes: [...notes, ...unmapped],
    golden: { name: GOLDEN_FILE_NAME, folder: files.folder },
  };
}

async function readConfig(folder: string, notes: string[]): Promise<ConfigMessage> {
  const names = await readdir(folder);
  if (!names.includes(TRITON_CONFIG_NAME)) {
    notes.push(`there is no ${TRITON_CONFIG_NAME}, nothing was mapped`);
    return ConfigMessage.parse(TRITON_CONFIG_NAME, '');
  }
  const size = await mustBeFile(folder, TRITON_CONFIG_NAME);
  if (size > MAX_TRITON_CONFIG_BYTES) {
    throw new LimitError(
      `${TRITON_CONFIG_NAME} has ${size} bytes, expected at most ${MAX_TRITON_CONFIG_BYTES}`,
    );
  }
  return ConfigMessage.parse(TRITON_CONFIG_NAME, await readText(folder, TRITON_CONFIG_NAME));
}

function chooseModelFile(config: ConfigMessage): string {
  const field = 'default_model_filename';
  const name = config.text(field) ?? '';
  if (name === '') return TRITON_MODEL_FILE;
  const fault = fileNameFault(name);
  if (fault !== undefined) throw config.fault(field, `file name ${quoted(name)} ${fault}`);
  if (name.toLowerCase().endsWith('.onnx')) return name;
  throw config.fault(field, `expected the name of an .onnx file, found ${quoted(name)}`);
}

/** Labels of the first output that has some: a version names the classes of one output. */
async function readLabels(
  folder: string,
  references: readonly LabelReference[],
  graph: OnnxGraph,
  notes: string[],
): Promise<PackageSettings> {
  const [first, ...others] = references;
  for (const { output } of others) {
    notes.push(`labels of output ${quoted(output)} are left out: a version has those of one`);
  }
  if (first === undefined) return {};
  const { output, file, config } = first;
  const field = 'label_filename';
  const fault = fileNameFault(file);
  if (fault !== undefined) throw config.fault(field, `file name ${quoted(file)} ${fault}`);
  if (!(await readdir(folder)).includes(file)) {
    throw config.fault(field, `file ${quoted(file)} is not beside ${TRITON_CONFIG_NAME}`);
  }
  const size = await mustBeFile(folder, file);
  if (size > MAX_LABEL_FILE_BYTES) {
    throw config.fault(
      field,
      `${quoted(file)} has ${size} bytes, expected at most ${MAX_LABEL_FILE_BYTES}`,
    );
  }
  const classLabels = parseLabelFile(file, await readFile(path.join(folder, file)));
  const value = graph.outputs.find(({ name }) => name === output);
  const classes = value?.kind === 'tensor' ? value.shape.at(-1) : undefined;
  if (typeof classes === 'number' && classes !== classLabels.length) {
    throw config.fault(
      field,
      `${quoted(file)} has ${classLabels.length} labels, output ${quoted(output)} has ${classes} classes`,
    );
  }
  return { classLabels, answer: { kind: 'argmax', output } };
}

/** Adds the files that go with the model, and gives the name of its card. */
async function addCompanions(
  folder: string,
  staging: PackageStaging,
  mapped: ReadonlySet<string>,
  notes: string[],
): Promise<string | undefined> {
  let card: string | undefined;
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    if (name.startsWith('.') || name === TRITON_CONFIG_NAME || mapped.has(name)) continue;
    if (entry.isDirectory()) continue;
    if (!COMPANION.test(name) || staging.has(name)) {
      notes.push(`file ${quoted(name)} beside ${TRITON_CONFIG_NAME} is left out`);
      continue;
    }
    await mustBeFile(folder, name);
    await staging.add(name, path.join(folder, name));
    if (/^readme/i.test(name)) card ??= name;
  }
  return card;
}

async function readPackageFile(folder: string, size: number): Promise<Buffer> {
  if (size > MAX_PACKAGE_FILE_BYTES) {
    throw new InvalidModelError(
      `${PACKAGE_FILE_NAME} has ${size} bytes, expected at most ${MAX_PACKAGE_FILE_BYTES}`,
      { details: { file: PACKAGE_FILE_NAME } },
    );
  }
  const bytes = await readFile(path.join(folder, PACKAGE_FILE_NAME));
  parsePackageFile(bytes);
  return bytes;
}

async function readText(folder: string, name: string): Promise<string> {
  const bytes = await readFile(path.join(folder, name)).catch((cause: unknown) => {
    throw new StoreError(`file ${quoted(name)} cannot be read: ${String(cause)}`, { cause });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidModelError(`${name} is not UTF-8`, { cause, details: { file: name } });
  }
}
