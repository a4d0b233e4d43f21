import path from 'node:path';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import {
  ConfigError,
  type InvalidModelError,
  isSwarmError,
  StoreError,
  SwarmError,
} from '../../protocols/errors.ts';
import { MAX_GOLDEN_BYTES } from '../../protocols/manifest/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { goldenMadeFor } from '../model/golden-file.ts';
import { type MadeGolden, type MakeGoldenOptions, makeGolden } from '../model/golden-maker.ts';
import type { OpenedPackage } from '../model/import/package-import.ts';
import { digestModel } from '../model/model-digest.ts';
import { placeOf } from '../model/package-fault.ts';
import { findPackage } from '../model/package-folder.ts';
import { type InspectedPackage, inspectPackage } from '../model/package-inspection.ts';
import { PackageFiles } from '../model/package-source.ts';
import { createDurably, writeDurably } from '../swarm/durable-file.ts';
import { type GoldenBytes, KeptGolden } from './kept-golden.ts';

/** Milliseconds one run may take: it may be the largest model there is, on one thread. */
const RUN_LIMIT_MS = 120_000;

/** Errors that golden vectors of the publisher's own would spare it. */
const AVOIDABLE: ReadonlySet<string> = new Set([
  'ERR_INVALID_MODEL',
  'ERR_EXECUTION',
  'ERR_LIMIT',
  'ERR_CONFIG',
  'ERR_STORE',
]);

export interface ProvideGoldenOptions extends AbortOptions {
  /** False when the publisher wants none to be made. */
  readonly wanted: boolean;
  /** For a package that is gone after the publication: how its vectors outlive it. @default they are saved in the package alone */
  readonly keep?: GoldenKeeping | undefined;
}

/** Where vectors made for a staged package go, so that the next publication of its source is the same version. */
export interface GoldenKeeping extends Pick<OpenedPackage, 'goldenName' | 'homeOf'> {
  /** Takes those of sources that are not written to. */
  readonly folder: string;
}

/** Golden vectors that a package did not have. */
export interface ProvidedGolden {
  /** Absolute path of the file that stays. */
  readonly file: string;
  readonly cases: number;
  /** False when they were made for an earlier publication, and kept. */
  readonly made: boolean;
  /** Where `file` is: in the package, in the source of a staged one, or in the folder that keeps those of all others. */
  readonly place: 'package' | 'source' | 'folder';
}

/**
 * Sees to it that a package has golden vectors before it is packed: where it has none, runs the model on the CPU and saves what
 * comes out beside it. Saved, because the last bits differ between machines: the same folder is then the same version on all.
 * Vectors that were made so for a model which has changed since are made anew; those that somebody gave are never touched.
 * Those of a staged package are also saved in its source, or where that is not written to, in a folder that is looked into first.
 *
 * @returns what was provided; undefined when there was a file, or none is wanted
 * @throws {ERR_INVALID_MODEL} when packing would refuse the package, or no vectors can be made.
 * @throws {ERR_CONFIG} when none are wanted and the package has some, or the runtime is not installed.
 * @throws {ERR_LIMIT | ERR_EXECUTION | ERR_STORE} when the model, its answers or the disk stand in the way.
 */
export async function provideGolden(
  location: string,
  { wanted, keep, signal }: ProvideGoldenOptions,
): Promise<ProvidedGolden | undefined> {
  const found = await findPackage(location);
  await using files = new PackageFiles(found.folder);
  const faults: InvalidModelError[] = [];
  const report = (fault: InvalidModelError): void => void faults.push(fault);
  const inspected = await inspectPackage(found, files, { signal, report });
  const golden = inspected?.golden;
  const outdated = inspected !== undefined && (await isOutdated(inspected, files, signal));
  // What is wrong with vectors that are made anew does not matter any more.
  const [fault] = faults.filter((each) => !outdated || placeOf(each).file !== golden);
  if (fault !== undefined) throw fault;
  if (golden !== undefined && !wanted) {
    throw new ConfigError(
      `--no-golden is given, and the package has golden vectors in '${golden}': take that file away, or leave out --no-golden`,
    );
  }
  if (inspected === undefined || !wanted || (golden !== undefined && !outdated)) return undefined;
  const name = golden ?? keep?.goldenName ?? found.goldenFile;
  const file = path.resolve(found.folder, name);
  const madeFor = await digestModel(files, inspected.modelFiles, { signal });
  const kept = keep && (await new KeptGolden(keep.folder).find(madeFor, inspected.model));
  const { bytes, cases } = kept ?? (await make(found.folder, inspected, { signal, madeFor, file }));
  await save(file, bytes, outdated);
  const provided = { file, cases, made: kept === undefined };
  if (keep === undefined) return { ...provided, place: 'package' };
  const home = await saveAtHome(keep.homeOf(name), bytes, outdated);
  if (home !== undefined) return { ...provided, file: home, place: 'source' };
  const folder = new KeptGolden(keep.folder);
  const stays = kept === undefined ? await folder.keep(madeFor, bytes) : folder.fileOf(madeFor);
  return { ...provided, file: stays, place: 'folder' };
}

/** Runs the model; what stands in the way is told with a way out. */
async function make(
  folder: string,
  inspected: InspectedPackage,
  { file, ...options }: MakeGoldenOptions & { readonly file: string },
): Promise<GoldenBytes> {
  try {
    const { bytes, cases } = await run(folder, inspected, options);
    return { bytes, cases: cases.length };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw advised(error, file);
  }
}

/** @returns the file; undefined when the source cannot be written to */
async function saveAtHome(
  file: string | undefined,
  bytes: Uint8Array,
  replace: boolean,
): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    await write(file, bytes, replace);
    return file;
  } catch {
    // A source that is mounted to be read only is published all the same: the folder keeps them.
    return undefined;
  }
}

/** Whether the vectors were made here before, for a model that has changed since. */
async function isOutdated(
  { golden, modelFiles, fileBytes }: InspectedPackage,
  files: PackageFiles,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (golden === undefined || (fileBytes.get(golden) ?? 0) > MAX_GOLDEN_BYTES) return false;
  const file = await files.open(golden);
  const madeFor = goldenMadeFor(await file.read(0, file.size));
  return madeFor !== undefined && madeFor !== (await digestModel(files, modelFiles, { signal }));
}

async function run(
  folder: string,
  { entry, model, settings }: InspectedPackage,
  options: MakeGoldenOptions,
): Promise<MadeGolden> {
  // One thread, so that a host's cores do not decide in which order sums are taken.
  const backend = createOnnxBackend({ providers: ['cpu'], threads: 1, maxCrashes: 1 });
  try {
    const { inputs, outputs } = model;
    const directory = path.resolve(folder);
    const cid = 'unpublished' as VersionCid;
    const session = settings.deployment?.session;
    const files = { cid, directory, entry, inputs, outputs };
    const loaded = await backend.load(files, { signal: options.signal, session });
    return await makeGolden(
      model,
      async (tensors, { signal }) =>
        (await loaded.run(tensors, { signal, limitMs: RUN_LIMIT_MS })).outputs,
      options,
    );
  } finally {
    await backend.stop();
  }
}

async function save(file: string, bytes: Uint8Array, replace: boolean): Promise<void> {
  try {
    await write(file, bytes, replace);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const error = new StoreError(`${file} cannot be written: ${why}`, { cause });
    throw advised(error, file);
  }
}

async function write(file: string, bytes: Uint8Array, replace: boolean): Promise<void> {
  if (replace) return writeDurably(file, bytes);
  // False when another publication of the same folder was first: its vectors are as good.
  await createDurably(file, bytes);
}

/** The error with a way out of it. */
function advised(error: unknown, file: string): unknown {
  if (!isSwarmError(error) || !AVOIDABLE.has(error.code)) return error;
  return new SwarmError(
    error.code,
    `golden vectors cannot be made: ${error.message}; give some in ${path.basename(file)}, or publish with --no-golden`,
    { cause: error, details: error.details },
  );
}
