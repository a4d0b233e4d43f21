import { type BlockCid, cidOfDigest, DIGEST_BYTES } from '../../protocols/digest.ts';
import { InvalidModelError, isSwarmError } from '../../protocols/errors.ts';
import { encodeManifest } from '../../protocols/manifest/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { modelNotes } from './model-notes.ts';
import { describePackage } from './package.ts';
import { type FaultPlace, placeOf } from './package-fault.ts';
import { findPackage } from './package-folder.ts';
import { inspectPackage } from './package-inspection.ts';
import { PackageFiles } from './package-source.ts';

/** Faults that are told one by one: a damaged model of a thousand tensors has as many. */
const MAX_FAULTS = 100;

/** A reason for which packing would refuse, as a sentence that names file and field. */
export interface LintFault extends FaultPlace {
  readonly message: string;
}

export interface LintResult {
  readonly faults: readonly LintFault[];
  /** Faults beyond those listed. */
  readonly moreFaults: number;
  /** What is no fault, but should be known of it, in sentences. */
  readonly notes: readonly string[];
  /** The file of golden vectors; null when there is none, or was not looked for. */
  readonly golden: string | null;
}

/**
 * Finds everything for which a package would be refused, not only the first: with the very checks that packing makes.
 *
 * @throws {ERR_NOT_FOUND} when nothing is there. {ERR_STORE} when the operating system refuses.
 */
export async function lintPackage(
  location: string,
  { signal }: AbortOptions = {},
): Promise<LintResult> {
  const faults: LintFault[] = [];
  let moreFaults = 0;
  const report = (fault: InvalidModelError): void => {
    if (faults.length === MAX_FAULTS) moreFaults += 1;
    else faults.push({ ...placeOf(fault), message: fault.message });
  };
  let golden: string | null = null;
  let notes: readonly string[] = [];
  try {
    const found = await findPackage(location, report);
    await using files = new PackageFiles(found.folder);
    const inspected = await inspectPackage(found, files, { signal, report });
    golden = inspected?.golden ?? null;
    notes = inspected === undefined ? [] : modelNotes(inspected.model);
    if (inspected !== undefined && faults.length === 0) encodeManifest(draft(inspected));
  } catch (error) {
    signal?.throwIfAborted();
    if (!isSwarmError(error) || !REFUSALS.has(error.code)) throw error;
    // What ends the search: a file that is no model, names that cannot be looked up, a manifest without end.
    report(new InvalidModelError(error.message, { cause: error, details: error.details }));
  }
  return { faults, moreFaults, notes, golden };
}

const REFUSALS: ReadonlySet<string> = new Set([
  'ERR_INVALID_MODEL',
  'ERR_INVALID_RECORD',
  'ERR_LIMIT',
]);

/** The manifest, but for the hashes, which have one length whatever they are. */
function draft(inspected: Parameters<typeof describePackage>[0]) {
  const sha256 = new Uint8Array(DIGEST_BYTES);
  const chunks = cidOfDigest(sha256).toString() as BlockCid;
  const files = [...inspected.fileBytes].map(([path, size]) => ({ path, size, sha256, chunks }));
  return describePackage(inspected, files);
}
