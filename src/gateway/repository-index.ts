import { DEFAULT_CHANNEL } from '../../protocols/reference.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { FoundModel } from '../client/catalog-search.ts';
import type { Caller } from './api-keys.ts';
import type { SwarmAccess } from './swarm-access.ts';

/** A model of the swarm, by the names of the repository extension. */
export interface IndexedModel {
  readonly name: string;
  /** The release sequence. */
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

/** The models that peers know of and that the caller may use: of a very large swarm a sample. */
export async function indexRepository(
  access: SwarmAccess,
  caller: Caller,
  { ready, signal }: { readonly ready: boolean } & AbortOptions,
): Promise<IndexedModel[]> {
  const { models } = await access.client.searchModels({}, { signal });
  return (
    models
      // What it may not use it need not hear of.
      .filter(({ publisher, name }) => caller.mayUse(`${publisher}/${name}`))
      .map((model) => describe(access, model))
      .filter(({ state }) => !ready || state === 'READY')
  );
}

function describe({ client }: SwarmAccess, { publisher, name, record }: FoundModel): IndexedModel {
  const target = record.channels[DEFAULT_CHANNEL];
  const served = target !== undefined && client.servable(target.cid).length > 0;
  const reason = target === undefined ? 'no stable channel' : 'no node serves it';
  return {
    name: `${publisher}/${name}`,
    version: String(record.sequence),
    state: served ? 'READY' : 'UNAVAILABLE',
    reason: served ? '' : reason,
  };
}
