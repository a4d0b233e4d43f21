import type { ScalingNode, VersionView } from './scaling-view.ts';

const GIB = 1024 ** 3;

/** What keeps a node from holding a version. */
export type Hindrance = 'not accepting' | 'providers' | 'memory' | 'disk';

/** Undefined when the node could hold the version; what nobody can say hinders nothing. */
export function hindranceOf(
  node: Pick<ScalingNode, 'accepting' | 'providers' | 'memoryFreeBytes' | 'diskFreeBytes'>,
  {
    deployment,
    memoryBytes,
    fileBytes,
  }: Pick<VersionView, 'deployment' | 'memoryBytes' | 'fileBytes'>,
  stored: boolean,
): Hindrance | undefined {
  if (!node.accepting) return 'not accepting';
  const { providers } = deployment;
  if (providers !== null && !providers.some((name) => node.providers.includes(name))) {
    return 'providers';
  }
  if (node.memoryFreeBytes !== null && node.memoryFreeBytes < memoryBytes) return 'memory';
  if (!stored && node.diskFreeBytes !== null && node.diskFreeBytes < fileBytes) return 'disk';
  return undefined;
}

/** Of what hinders each node, the commonest that a further machine would mend; `not accepting` where that is nothing. */
export function commonestHindrance(hindrances: readonly Hindrance[]): Hindrance {
  const counts = (['memory', 'disk', 'providers'] as const).map((hindrance) => ({
    hindrance,
    count: hindrances.filter((one) => one === hindrance).length,
  }));
  const most = counts.reduce((best, one) => (one.count > best.count ? one : best));
  return most.count === 0 ? 'not accepting' : most.hindrance;
}

/** Why nobody more can hold a version of which {@link commonestHindrance} says what hinders the others. */
export function describeHindrance(
  hindrance: Hindrance,
  {
    deployment,
    memoryBytes,
    fileBytes,
  }: Pick<VersionView, 'deployment' | 'memoryBytes' | 'fileBytes'>,
): string {
  const on = deployment.providers === null ? '' : ` on ${deployment.providers.join(' or ')}`;
  switch (hindrance) {
    case 'not accepting':
      return 'every known node holds it already or accepts nothing';
    case 'memory':
      return `no further node with ${gib(memoryBytes)} of memory free${on}`;
    case 'disk':
      return `no further node with ${gib(fileBytes)} of disk free${on}`;
    case 'providers':
      return `no further node${on}`;
  }
}

function gib(bytes: number): string {
  return `${Number((bytes / GIB).toPrecision(2))} GiB`;
}
