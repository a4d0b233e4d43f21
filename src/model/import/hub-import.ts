import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError, InvalidModelError, NotFoundError } from '../../../protocols/errors.ts';
import { GOLDEN_FILE_NAME } from '../../../protocols/manifest/index.ts';
import type { AbortOptions } from '../../../protocols/types.ts';
import { goldenFileOf } from '../package-folder.ts';
import type { PackageStaging } from '../package-staging.ts';
import { mapHubTexts } from './hub-settings.ts';
import { checkoutOf, findSnapshot, type HubSnapshot, resolveHubFile } from './hub-snapshot.ts';
import { writeSettings } from './settings-file.ts';
import { readServableGraph, type StagedModel } from './staged-model.ts';

/** Where exporters put .onnx files, best first. */
const FOLDERS = ['onnx', '.'] as const;

/** Bytes of a text that is read for settings. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** Files of a repository's top that go with a model: its card, licence, configuration, tokenizer. */
const COMPANION =
  /^(?:(?:licen[cs]e|notice|copying)(?:\.\w+)?|[\w.-]+\.(?:json|txt|md|model|jinja))$/i;

/** Lists of files in other formats, of no use without them. */
const OTHER_FORMATS = /\.(?:safetensors|bin|h5|msgpack)\.index\.json$/i;

export interface HubImportOptions extends AbortOptions {
  /** Suffix of `model_<variant>.onnx`, or a whole name without its ending. @default `model.onnx`, or the only one there is */
  readonly variant?: string | undefined;
}

/**
 * Makes a package of one ONNX variant in a checkout of a Hugging Face repository or in the hub's cache.
 *
 * @returns notes of what could not be mapped; golden vectors belong beside the variant, under its name
 * @throws {ERR_NOT_FOUND | ERR_INVALID_INPUT} that lists the variants there are.
 * @throws {ERR_INVALID_MODEL} that names the file and what is wrong with it.
 */
export async function importHubModel(
  location: string,
  staging: PackageStaging,
  options: HubImportOptions = {},
): Promise<StagedModel> {
  const snapshot = (await findSnapshot(location)) ?? checkoutOf(location);
  const model = await chooseVariant(snapshot, options.variant);
  const name = path.basename(model);
  await staging.add(name, await mustResolve(snapshot, model));
  const graph = await readServableGraph(path.join(staging.folder, name), options);
  for (const external of graph.externalFiles) {
    const file = path.join(path.dirname(model), external);
    const source = await resolveHubFile(snapshot, file);
    if (source === undefined) {
      throw new InvalidModelError(
        `${name} keeps weights in '${external}', which is not beside it`,
        {
          details: { file: external },
        },
      );
    }
    await staging.add(external, source);
  }
  const golden = goldenFileOf(name);
  const vectors = await resolveHubFile(snapshot, path.join(path.dirname(model), golden));
  if (vectors !== undefined) await staging.add(golden, vectors);
  await addCompanions(snapshot, staging, golden);
  const { settings, notes } = mapHubTexts(
    {
      config: await readText(staging, 'config.json'),
      preprocessor: await readText(staging, 'preprocessor_config.json'),
      card: await readText(staging, 'README.md'),
    },
    graph,
    snapshot,
  );
  await writeSettings(staging, settings);
  const beside = path.join(snapshot.folder, path.dirname(model));
  // What is in the cache is the hub's, and may be gone with its next revision.
  const folder = snapshot.linkRoot === null ? beside : undefined;
  return { notes, golden: { name: golden, folder } };
}

/** Path of the .onnx file in the snapshot. */
async function chooseVariant(snapshot: HubSnapshot, variant: string | undefined): Promise<string> {
  const found: string[] = [];
  for (const folder of FOLDERS) {
    const names = await readdir(path.join(snapshot.folder, folder)).catch(() => []);
    found.push(
      ...names
        .filter((name) => name.endsWith('.onnx'))
        .sort()
        .map((name) => path.join(folder, name)),
    );
  }
  const wanted =
    variant === undefined ? ['model.onnx'] : [`model_${variant}.onnx`, `${variant}.onnx`];
  for (const name of wanted) {
    const chosen = found.find((file) => path.basename(file) === name);
    if (chosen !== undefined) return chosen;
  }
  const [only] = found;
  if (variant === undefined && only !== undefined && found.length === 1) return only;
  const list =
    found.map((file) => path.basename(file, '.onnx').replace(/^model_/, '')).join(', ') || 'none';
  if (variant === undefined && found.length > 1) {
    throw new InvalidInputError(
      `'${snapshot.folder}' has no model.onnx, expected the name of a variant (--variant), found: ${list}`,
    );
  }
  throw new NotFoundError(
    `'${snapshot.folder}' has no ${variant === undefined ? '.onnx file' : `variant '${variant}'`}, found: ${list}`,
  );
}

async function addCompanions(
  snapshot: HubSnapshot,
  staging: PackageStaging,
  golden: string,
): Promise<void> {
  const names = await readdir(snapshot.folder);
  for (const name of names.sort()) {
    if (name.startsWith('.') || !COMPANION.test(name) || OTHER_FORMATS.test(name)) continue;
    // Golden vectors of another variant: this one would be another version each time that one is published.
    if (name.endsWith(`.${GOLDEN_FILE_NAME}`) && name !== golden) continue;
    if (!staging.has(name)) await staging.add(name, await mustResolve(snapshot, name));
  }
}

async function mustResolve(snapshot: HubSnapshot, name: string): Promise<string> {
  const file = await resolveHubFile(snapshot, name);
  if (file !== undefined) return file;
  throw new NotFoundError(`'${path.join(snapshot.folder, name)}' vanished meanwhile`);
}

async function readText(staging: PackageStaging, name: string): Promise<string | undefined> {
  if (!staging.names.includes(name)) return undefined;
  const bytes = await readFile(path.join(staging.folder, name));
  return bytes.byteLength > MAX_TEXT_BYTES ? undefined : bytes.toString('utf8');
}
