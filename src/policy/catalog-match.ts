import type { CatalogMetadata, CatalogQuery } from '../../protocols/routing/index.ts';

/** A model as a catalog knows it. */
export interface CatalogModel {
  readonly publisher: string;
  readonly name: string;
  /** Null when only the release is known: no task and no label is found then. */
  readonly metadata: CatalogMetadata | null;
}

/** True when a model has all that a query asks for. Words are found anywhere, in either case; task and labels are exact. */
export function matchesCatalog(
  { publisher, name, metadata }: CatalogModel,
  query: Omit<CatalogQuery, 'kind'>,
): boolean {
  if (query.publisher !== undefined && query.publisher !== publisher) return false;
  if (query.task !== undefined && query.task !== metadata?.task) return false;
  const labels = Object.entries(metadata?.labels ?? {});
  for (const [label, value] of Object.entries(query.labels ?? {})) {
    if (!labels.some(([key, found]) => key === label && found === value)) return false;
  }
  const { task = '', description = '', licence = '' } = metadata ?? {};
  const text = [name, task, description, licence, ...labels.flat()].join('\n').toLowerCase();
  const words = query.text.toLowerCase().split(/\s+/);
  return words.every((word) => text.includes(word));
}
