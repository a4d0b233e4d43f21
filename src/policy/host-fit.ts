import { InvalidModelError, LimitError } from '../../protocols/errors.ts';
import { type Deployment, resolveDeployment } from '../../protocols/manifest/index.ts';

/** Providers that run only what names them: TensorRT builds an engine for minutes at each load. */
const ON_REQUEST: ReadonlySet<string> = new Set(['tensorrt']);

/** What a host has for a version to run on. */
export interface HostOffer {
  /** Bytes in all, used or not: what else is loaded may be gone by the time this is. */
  readonly memoryBytes: number;
  /** Execution providers that work here, the best first. */
  readonly providers: readonly string[];
}

/**
 * The execution providers to try for a version, the best first: in its own order where it has one, else in the host's. What
 * is tried first is what serves.
 *
 * @throws {ERR_INVALID_MODEL} when the host has none of those that the version runs on; `details` has `expected` and `found`.
 */
export function chooseProviders(
  deployment: Deployment,
  { providers: works }: Pick<HostOffer, 'providers'>,
): readonly string[] {
  const { providers: wanted } = resolveDeployment(deployment);
  if (wanted === null) return works.filter((provider) => !ON_REQUEST.has(provider));
  const chosen = wanted.filter((provider) => works.includes(provider));
  if (chosen.length > 0) return chosen;
  throw new InvalidModelError(
    `version runs on ${wanted.join(', ')} only, this node has ${works.join(', ')}`,
    { details: { expected: wanted, found: works } },
  );
}

/** @throws {ERR_LIMIT} when a version says that it needs more memory than the host has; one that says nothing is let through. */
export function checkMemory(
  deployment: Deployment,
  { memoryBytes }: Pick<HostOffer, 'memoryBytes'>,
): void {
  const { memoryBytes: needBytes } = resolveDeployment(deployment);
  if (needBytes === null || needBytes <= memoryBytes) return;
  throw new LimitError(
    `version needs ${needBytes} bytes of memory, this node has ${memoryBytes} in all`,
    { details: { expectedBytes: needBytes, foundBytes: memoryBytes } },
  );
}
