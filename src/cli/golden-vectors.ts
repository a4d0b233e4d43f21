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
import { type MadeGolden, makeGolden, type MakeGoldenOptions } from '../model/golden-maker.ts';
import { digestModel } from '../model/model-digest.ts';
import { placeOf } from '../model/package-fault.ts';
import { findPackage } from '../model/package-folder.ts';
import { type InspectedPackage, inspectPackage } from '../model/package-inspection.ts';
import { PackageFiles } from '../model/package-source.ts';
import { createDurably, writeDurably } from '../swarm/durable-file.ts';

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
}

/** A file of golden vectors that was just made. */
export interface ProvidedGolden {
  /** Absolute path. */
  readonly file: string;
  readonly cases: number;
}

/**
 * Sees to it that a package has golden vectors before it is packed: where it has none, runs the model on the CPU and saves what
 * comes out beside it. Saved, because the last bits differ between machines: the same folder is then the same version on all.
 * Vectors that were made so for a model which has changed since are made anew; those that somebody gave are never touched.
 *
 * @returns the file that was made; undefined when there was one, or none is wanted
 * @throws {ERR_INVALID_MODEL} when packing would refuse the package, or no vectors can be made.
 * @throws {ERR_CONFIG} when none are wanted and the package has some, or the runtime is not installed.
 * @throws {ERR_LIMIT | ERR_EXECUTION | ERR_STORE} when the model, its answers or the disk stand in the way.
 */
export async function provideGolden(
  location: string,
  { wanted, signal }: ProvideGoldenOptions,
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
  const file = path.resolve(found.folder, golden ?? found.goldenFile);
  const madeFor = await digestModel(files, inspected.modelFiles, { signal });
  const made = await run(found.folder, inspected, { signal, madeFor }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw advised(error, file);
  });
  await save(file, made.bytes, outdated);
  return { file, cases: made.cases.length };
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
    if (replace) return await writeDurably(file, bytes);
    // False when another publication of the same folder was first: its vectors are as good.
    await createDurably(file, bytes);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const error = new StoreError(`${file} cannot be written: ${why}`, { cause });
    throw advised(error, file);
  }
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
