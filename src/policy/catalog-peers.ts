import type { NodeId, VersionCid } from '../../protocols/types.ts';

/** A node and the versions it serves, whose metadata it therefore knows. */
export interface CatalogHolder {
  readonly node: NodeId;
  readonly versions: ReadonlySet<VersionCid>;
}

/**
 * Which peers are asked for their catalogs: nodes first, each the one that holds most of what those before it do not, as long
 * as that adds a version; then the others that are `connected`. At most `max`, none twice.
 */
export function selectCatalogPeers(
  holders: readonly CatalogHolder[],
  connected: readonly string[],
  max: number,
): string[] {
  const covered = new Set<VersionCid>();
  const rest = [...holders];
  const chosen: string[] = [];
  while (chosen.length < max) {
    const best = rest
      .map(({ versions }, index) => ({
        index,
        adds: [...versions].filter((cid) => !covered.has(cid)).length,
      }))
      .reduce((a, b) => (b.adds > a.adds ? b : a), { index: -1, adds: 0 });
    if (best.adds === 0) break;
    for (const { node, versions } of rest.splice(best.index, 1)) {
      chosen.push(node);
      for (const cid of versions) covered.add(cid);
    }
  }
  return [...new Set([...chosen, ...connected])].slice(0, max);
}
