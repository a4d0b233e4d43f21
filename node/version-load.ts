import type { Logger } from 'pino';
import { InvalidModelError, LimitError } from '../protocols/errors.ts';
import { type Manifest, resolveDeployment } from '../protocols/manifest/index.ts';
import type { VersionCid } from '../protocols/types.ts';
import type { InferenceBackend, LoadedModel, ModelFiles } from './backend/backend.ts';
import { hostMemoryBytes } from './device/host-memory.ts';
import { checkGolden } from './golden-check.ts';

/** A version whose files are on this host's disk. */
export interface LoadableVersion {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  /** Absolute path of the folder with its files and nothing else. */
  readonly directory: string;
}

export interface LoadVersionOptions {
  readonly signal: AbortSignal;
  /** Hears why an execution provider was passed over. */
  readonly logger: Pick<Logger, 'warn'>;
  /** Bytes of memory this host has. @default what the system or the container says */
  readonly memoryBytes?: number | undefined;
}

/**
 * Loads a version as its manifest wants it: on the first of its execution providers that works here, takes the model, and gives
 * the right answers to its golden vectors.
 *
 * @throws {ERR_LIMIT} when it says that it needs more memory than this host has.
 * @throws {ERR_INVALID_MODEL} when none of its execution providers works here, or its golden vectors come out wrong on all.
 * @throws as the last provider's attempt did, see {@link InferenceBackend.load} and {@link checkGolden}.
 */
export async function loadVersion(
  backend: InferenceBackend,
  { cid, manifest, directory }: LoadableVersion,
  { signal, logger, memoryBytes = hostMemoryBytes() }: LoadVersionOptions,
): Promise<LoadedModel> {
  const { entry, inputs, outputs, golden, tolerance } = manifest;
  const {
    providers: wanted,
    session,
    memoryBytes: neededBytes,
  } = resolveDeployment(manifest.deployment);
  if (neededBytes !== null && neededBytes > memoryBytes) {
    throw new LimitError(
      `version needs ${neededBytes} bytes of memory, this node has ${memoryBytes} in all`,
    );
  }
  const files: ModelFiles = { cid, directory, entry, inputs, outputs };
  let failure: unknown;
  for (const provider of choose(wanted, await backend.providers({ signal }))) {
    const load = { signal, session, providers: [provider] };
    try {
      if (golden !== undefined) {
        await checkGolden(backend, files, { ...golden, tolerance }, load);
      }
      return await backend.load(files, load);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn(
        { err: error, cid, provider },
        'version does not work on this execution provider',
      );
      failure = error;
    }
  }
  throw failure;
}

/** The version's own order where it has one, else the host's: what is tried first is what serves. */
function choose(wanted: readonly string[] | null, works: readonly string[]): readonly string[] {
  if (wanted === null) return works;
  const chosen = wanted.filter((provider) => works.includes(provider));
  if (chosen.length > 0) return chosen;
  throw new InvalidModelError(
    `version runs on ${wanted.join(', ')} only, this node has ${works.join(', ')}`,
    { details: { expected: wanted, found: works } },
  );
}
