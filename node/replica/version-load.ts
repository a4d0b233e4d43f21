import type { Logger } from 'pino';
import { isSwarmError } from '../../protocols/errors.ts';
import { type Manifest, resolveDeployment } from '../../protocols/manifest/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { checkMemory, chooseProviders } from '../../src/policy/host-fit.ts';
import type { InferenceBackend, LoadedModel, LoadOptions, ModelFiles } from '../backend/backend.ts';
import { hostMemoryBytes } from '../device/host-memory.ts';
import { checkGolden, type GoldenVectors } from '../golden/golden-check.ts';
import type { NodePolicy } from '../node-policy.ts';

/** A version whose files are on this host's disk. */
export interface LoadableVersion {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  /** Absolute path of the folder with its files and nothing else. */
  readonly directory: string;
}

export interface CheckHostOptions extends AbortOptions {
  /** Bytes of memory this host has. @default what the system or the container says */
  readonly memoryBytes?: number | undefined;
}

export interface LoadVersionOptions extends CheckHostOptions {
  readonly signal: AbortSignal;
  /** Hears why an execution provider was passed over. */
  readonly logger: Pick<Logger, 'warn'>;
  /** Execution providers whose answers to the golden vectors were right, which need not be asked again; grows by those found so. */
  readonly proven?: Set<string> | undefined;
  /** Makes room for an attempt on a provider and says which GPU it gets. What it throws counts as that provider's failure. */
  readonly place?: ((provider: string) => Promise<Placement>) | undefined;
  /** Hears of each provider that did not work, after whatever was loaded on it is gone. */
  readonly passedOver?: ((provider: string, error: unknown) => void) | undefined;
}

/** Whether a form that this host derives may serve: where golden vectors tell that it answers as the publisher's files do. */
export function mayDerive({ golden }: Pick<Manifest, 'golden'>): boolean {
  return golden !== undefined;
}

/** What speaks against the form that was asked, and not against disk or time. */
const WRONG_ANSWERS: readonly string[] = ['ERR_INVALID_MODEL', 'ERR_EXECUTION'];

/** Where an attempt runs, and with how many threads. */
export type Placement = Pick<LoadOptions, 'device' | 'threads'>;

/** The files of a version as a backend wants them. */
export function filesOf({ cid, manifest, directory }: LoadableVersion): ModelFiles {
  const { entry, inputs, outputs } = manifest;
  return { cid, directory, entry, inputs, outputs };
}

/**
 * Refuses a version that asks for what this host has not, by its manifest alone: before gigabytes of it are fetched. Waits for
 * the execution providers to be found out only where the version names some.
 *
 * @throws {ERR_LIMIT} when it says that it needs more memory than this host has.
 * @throws {ERR_INVALID_MODEL} when none of its execution providers works here.
 */
export async function checkHost(
  backend: InferenceBackend,
  { deployment }: Manifest,
  { signal, memoryBytes = hostMemoryBytes() }: CheckHostOptions = {},
): Promise<void> {
  checkMemory(deployment, { memoryBytes });
  if (resolveDeployment(deployment).providers === null) return;
  chooseProviders(deployment, { providers: await backend.providers({ signal }) });
}

/**
 * Refuses a version that this node does not run or that its host cannot, by its manifest alone: before gigabytes of it are fetched.
 *
 * @throws {ERR_FORBIDDEN} when this node runs nothing that does what the version does.
 * @throws as {@link checkHost} does.
 */
export async function checkAcceptable(
  {
    policy,
    backend,
  }: { readonly policy: Pick<NodePolicy, 'checkManifest'>; readonly backend: InferenceBackend },
  manifest: Manifest,
  options: CheckHostOptions,
): Promise<void> {
  policy.checkManifest(manifest);
  await checkHost(backend, manifest, options);
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
  version: LoadableVersion,
  options: LoadVersionOptions,
): Promise<LoadedModel> {
  const { cid, manifest } = version;
  const { signal, logger, proven, memoryBytes = hostMemoryBytes() } = options;
  const { golden, tolerance } = manifest;
  const { session } = resolveDeployment(manifest.deployment);
  checkMemory(manifest.deployment, { memoryBytes });
  const works = await backend.providers({ signal });
  const files = filesOf(version);
  let failure: unknown;
  for (const provider of chooseProviders(manifest.deployment, { providers: works })) {
    try {
      const derived = provider === 'cpu' && mayDerive(manifest);
      const placement = await options.place?.(provider);
      const load = { signal, session, derived, providers: [provider], ...placement };
      if (golden !== undefined && proven?.has(provider) !== true) {
        await checkAnswers(backend, files, { ...golden, tolerance }, load);
        proven?.add(provider);
      }
      return await backend.load(files, load);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn(
        { err: error, cid, provider },
        'version does not work on this execution provider',
      );
      options.passedOver?.(provider, error);
      failure = error;
    }
  }
  throw failure;
}

/** Runs golden vectors on what will serve; on the publisher's files where what was derived from them does not answer right. */
async function checkAnswers(
  backend: InferenceBackend,
  files: ModelFiles,
  vectors: GoldenVectors,
  load: LoadOptions & { readonly signal: AbortSignal },
): Promise<void> {
  try {
    await checkGolden(backend, files, vectors, load);
  } catch (error) {
    load.signal.throwIfAborted();
    const wrong = isSwarmError(error) && WRONG_ANSWERS.includes(error.code);
    if (!wrong || load.derived !== true) throw error;
    if ((await backend.refuseDerived?.(files.cid, error.message)) !== true) throw error;
    await checkGolden(backend, files, vectors, load);
  }
}
