import { mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError, StoreError } from '../../../protocols/errors.ts';
import { GOLDEN_FILE_NAME } from '../../../protocols/manifest/index.ts';
import type { AbortOptions } from '../../../protocols/types.ts';
import { ensureFolder } from '../ensured-folder.ts';
import { modelNotes } from '../model-notes.ts';
import { type PackageContents, readPackage } from '../package-contents.ts';
import { PackageStaging, type StagingOptions } from '../package-staging.ts';
import { importHubModel } from './hub-import.ts';
import { downloadModel, parseModelAddress } from './model-download.ts';
import { type ModelOrigin, recogniseOrigin } from './model-origin.ts';
import type { StagedModel } from './staged-model.ts';
import { importTritonModel } from './triton-import.ts';

const OWNED = /^import-(\d+)-/;

/** Which model of what is given, where that is not clear; each is refused where it means nothing. */
export interface ImportChoices {
  /** Name of one model of a Triton repository or of the hub's cache. */
  readonly model?: string | undefined;
  /** Number of a Triton model's version. @default the highest */
  readonly tritonVersion?: number | undefined;
  /** Variant of a Hugging Face repository: `fp16`, `int8`, … @default `model.onnx` */
  readonly variant?: string | undefined;
  /** Digest of what an address gives, when it does not stand in the address. */
  readonly sha256?: string | undefined;
}

export interface ImportOptions extends ImportChoices, AbortOptions {}

interface StageOptions extends ImportOptions, Pick<StagingOptions, 'link'> {
  readonly check: boolean;
}

export interface ImportedPackage {
  readonly origin: ModelOrigin['kind'];
  /** Where the package is: a folder, or a lone .onnx file. */
  readonly location: string;
  /** Names of the files, when a folder was made. */
  readonly files: readonly string[];
  /** What could not be taken over, and what should be known of the model, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Makes a package folder of a model in any form: an .onnx file with external data, a package folder, a model of a Triton
 * repository, of a Hugging Face checkout or cache, or behind an address.
 *
 * @param folder a new or an empty one; gone again when the import fails
 * @throws {ERR_INVALID_MODEL | ERR_INVALID_INPUT | ERR_NOT_FOUND} that name the file or choice; docs/models.md has the rules.
 */
export async function importPackage(
  what: string,
  folder: string,
  options: ImportOptions = {},
): Promise<ImportedPackage> {
  const origin = await recogniseOrigin(what, options.model);
  checkChoices(origin, options);
  const staged = await stage(origin, folder, { ...options, check: true });
  const { location, files, contents } = staged;
  const notes = [...staged.notes, ...(contents === undefined ? [] : modelNotes(contents.model))];
  return { origin: origin.kind, location, files, notes };
}

/** A package that is there until it is disposed of. */
export interface OpenedPackage extends ImportedPackage, AsyncDisposable {
  /** True when its folder was made for it, and is gone afterwards with what was put into it. */
  readonly staged: boolean;
  /** Of a staged one: what golden vectors made for it are to be called. */
  readonly goldenName: string | undefined;
  /** Where a file is to be written so that the next import brings it under this name; undefined where it would be in vain. */
  homeOf(name: string): string | undefined;
}

/**
 * {@link importPackage} for as long as a package is needed: what is one already stays where it is, everything else gets a
 * folder below `parent`, whose files share their bytes with the source where the disk can do that. Golden vectors that
 * are out of date may be in it: whoever opens it makes them anew.
 */
export async function openPackage(
  what: string,
  parent: string,
  options: ImportOptions = {},
): Promise<OpenedPackage> {
  const origin = await recogniseOrigin(what, options.model);
  checkChoices(origin, options);
  if (origin.kind === 'file' || origin.kind === 'folder') {
    return {
      origin: origin.kind,
      location: origin.location,
      files: [],
      notes: [],
      staged: false,
      goldenName: undefined,
      homeOf: () => undefined,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const folder = await makeFolder(parent);
  const how = { ...options, link: true, check: origin.kind === 'url' };
  const { golden, staging, ...staged } = await stage(origin, folder, how);
  return {
    ...staged,
    origin: origin.kind,
    staged: true,
    goldenName: golden.name,
    homeOf(name) {
      if (golden.folder === undefined) return undefined;
      return staging.sourceOf(name) ?? path.join(golden.folder, name);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

interface Staged extends StagedModel {
  readonly location: string;
  readonly files: readonly string[];
  readonly staging: PackageStaging;
  /** What packing would take, where that was looked at. */
  readonly contents: PackageContents | undefined;
}

async function stage(
  origin: ModelOrigin,
  folder: string,
  { link, check, ...choices }: StageOptions,
): Promise<Staged> {
  const staging = await PackageStaging.create(folder, { signal: choices.signal, link });
  try {
    const model = await fill(origin, staging, choices);
    // What packing would refuse is better said here, while the source is at hand.
    const contents = check ? await readPackage(folder, { signal: choices.signal }) : undefined;
    return { ...model, location: folder, files: staging.names.toSorted(), staging, contents };
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

async function fill(
  { kind, location }: ModelOrigin,
  staging: PackageStaging,
  choices: ImportOptions,
): Promise<StagedModel> {
  const { signal } = choices;
  switch (kind) {
    case 'triton':
      return importTritonModel(location, staging, { version: choices.tritonVersion, signal });
    case 'hugging-face':
      return importHubModel(location, staging, { variant: choices.variant, signal });
    case 'url': {
      const address = parseModelAddress(location, choices.sha256);
      await downloadModel(address, staging.claim(address.fileName), { signal });
      return { notes: [], golden: { name: GOLDEN_FILE_NAME, folder: undefined } };
    }
    case 'file':
    case 'folder':
      await copyPackage(location, staging, signal);
      return { notes: [], golden: { name: GOLDEN_FILE_NAME, folder: undefined } };
  }
}

/** The files of a package, and those that its lone .onnx file refers to. */
async function copyPackage(
  location: string,
  staging: PackageStaging,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { folder, names } = await readPackage(location, { signal });
  for (const name of names) await staging.add(name, path.join(folder, name));
}

function checkChoices(
  { kind, location }: ModelOrigin,
  { tritonVersion, variant, sha256 }: ImportChoices,
): void {
  const choices = [
    ['--triton-version', tritonVersion, 'triton', 'a Triton model'],
    ['--variant', variant, 'hugging-face', 'a Hugging Face repository'],
    ['--sha256', sha256, 'url', 'an address'],
  ] as const;
  for (const [flag, value, wanted, what] of choices) {
    if (value === undefined || kind === wanted) continue;
    throw new InvalidInputError(`${flag} is for ${what}, which '${location}' is not`);
  }
}

/** A folder that bears this process's id, so that what a killed process left can be told from what is in use. */
async function makeFolder(parent: string): Promise<string> {
  await ensureFolder(parent);
  try {
    for (const name of await readdir(parent)) {
      const owner = OWNED.exec(name)?.[1];
      if (owner === undefined || isRunning(Number(owner))) continue;
      await rm(path.join(parent, name), { recursive: true, force: true });
    }
    return await mkdtemp(path.join(parent, `import-${process.pid}-`));
  } catch (cause) {
    throw new StoreError(`no folder can be made in '${parent}': ${String(cause)}`, { cause });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one too.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
