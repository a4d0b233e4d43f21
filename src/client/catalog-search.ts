import * as dagCbor from '@ipld/dag-cbor';
import { InvalidInputError, isSwarmError, LimitError } from '../../protocols/errors.ts';
import { decodeRelease, type ReleaseRecord } from '../../protocols/release/index.ts';
import type { CatalogEntry, CatalogMetadata, CatalogQuery } from '../../protocols/routing/index.ts';
import type { NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { matchesCatalog } from '../policy/catalog-match.ts';
import { type CatalogHolder, selectCatalogPeers } from '../policy/catalog-peers.ts';
import { catalogMetadata, releasedVersion } from '../swarm/catalog.ts';
import type { ManifestReader } from '../swarm/manifest-reader.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { describeOptionsFault, type FieldsOf } from './known-fields.ts';

/** Peers asked which nodes there are. */
const SURVEYED_PEERS = 3;

/** Peers asked for their catalogs. */
const ASKED_PEERS = 16;

const ASK_TIMEOUT_MS = 3_000;

/** Manifests read at once to check what entries say, and the time for each. */
const READS_AT_ONCE = 8;
const READ_TIMEOUT_MS = 3_000;

/** Bytes of a query, see docs/protocols/routing.md. */
const MAX_QUERY_BYTES = 1024;

/** What is looked for; without any of it, everything. */
export interface CatalogSearch {
  /** Words, each of which stands somewhere in the name, task, description, licence or labels. @default '' */
  readonly text?: string | undefined;
  readonly task?: string | undefined;
  readonly publisher?: PublisherId | undefined;
  /** Labels that must all be there with these values. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

const FIELDS: FieldsOf<CatalogSearch> = {
  ...{ text: true, task: true, publisher: true, labels: true },
};

/** A model found in the catalogs of peers. */
export interface FoundModel {
  readonly publisher: PublisherId;
  readonly name: string;
  /** The version that the metadata is of. */
  readonly cid: VersionCid;
  /** The newest signed record that any of the peers had. */
  readonly record: ReleaseRecord;
  /** Null when nobody told and the manifest could not be read. */
  readonly metadata: CatalogMetadata | null;
  /** True when the metadata is what the manifest says; false when no holder could be asked for that. */
  readonly verified: boolean;
}

export interface CatalogResult {
  /** By publisher, then name. */
  readonly models: readonly FoundModel[];
  /** True when a peer knew more than an answer holds: a narrower search finds the rest. */
  readonly incomplete: boolean;
  /** Peers that were asked for their catalogs, and those of them that answered: where few did, what was not found may still be there. */
  readonly asked: number;
  readonly answered: number;
}

/** Whether what was not found is nowhere: more than half of the peers that were asked said what they know. */
export function isConclusive({
  asked,
  answered,
}: Pick<CatalogResult, 'asked' | 'answered'>): boolean {
  return answered * 2 > asked;
}

interface Candidate {
  readonly release: ReleaseRecord;
  readonly entry: CatalogEntry;
}

/**
 * Gathers the catalogs of peers: those this one is connected to, and nodes that hold what the others do not. What they say is
 * checked: the record by its signature, the metadata against the manifest where a holder can be reached.
 *
 * @throws {ERR_LIMIT} when the search is longer than a query may be. {ERR_INVALID_INPUT} for a field there is none of.
 */
export async function searchCatalog(
  peer: SwarmPeer,
  manifests: ManifestReader,
  search: CatalogSearch,
  signal: AbortSignal,
): Promise<CatalogResult> {
  const fault = describeOptionsFault(search, FIELDS);
  if (fault !== undefined) throw new InvalidInputError(`search: ${fault}`);
  const query = toQuery(search);
  await peer.survey({ kind: 'nodes' }, { signal, atMost: SURVEYED_PEERS });
  const connected = peer.libp2p.getPeers().map(String);
  const asked = selectCatalogPeers(holders(peer), connected, ASKED_PEERS);
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]);
  const answers = await Promise.allSettled(asked.map((id) => peer.catalog(id, query, bounded)));
  signal.throwIfAborted();
  const told = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const found = await newest(told.flatMap(({ entries }) => entries));
  const models = await verifyAll(manifests, found, signal);
  return {
    models: models
      .filter((model) => matchesCatalog(model, query))
      .toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
    incomplete: told.some(({ omitted }) => omitted > 0),
    asked: asked.length,
    answered: told.length,
  };
}

function toQuery({ text = '', task, publisher, labels }: CatalogSearch): CatalogQuery {
  const query: CatalogQuery = {
    kind: 'catalog',
    text,
    ...(task === undefined ? {} : { task }),
    ...(publisher === undefined ? {} : { publisher }),
    ...(labels === undefined ? {} : { labels }),
  };
  const { byteLength } = dagCbor.encode(query);
  if (byteLength <= MAX_QUERY_BYTES) return query;
  throw new LimitError(
    `search has ${byteLength} bytes with its labels, expected at most ${MAX_QUERY_BYTES}`,
  );
}

function holders(peer: SwarmPeer): CatalogHolder[] {
  const versions = new Map<NodeId, Set<VersionCid>>();
  for (const { node, version } of peer.view.replicas(Date.now())) {
    if (version.state !== 'ready' && version.state !== 'cold') continue;
    const { node: id } = node.announcement;
    versions.set(id, (versions.get(id) ?? new Set()).add(version.cid));
  }
  return [...versions].map(([node, held]) => ({ node, versions: held }));
}

/** One entry for each model: of its newest record, and of those one that says most. */
async function newest(entries: readonly CatalogEntry[]): Promise<Candidate[]> {
  const models = new Map<string, Candidate>();
  for (const entry of entries) {
    let release: ReleaseRecord;
    try {
      release = await decodeRelease(entry.release);
    } catch (error) {
      if (isSwarmError(error)) continue;
      throw error;
    }
    // An entry whose version its own record does not name says nothing of the model.
    if (releasedVersion(release, new Set([entry.cid])) === undefined) continue;
    const known = models.get(key(release));
    if (known === undefined || outranks({ release, entry }, known)) {
      models.set(key(release), { release, entry });
    }
  }
  return [...models.values()];
}

function outranks(a: Candidate, b: Candidate): boolean {
  if (a.release.sequence !== b.release.sequence) return a.release.sequence > b.release.sequence;
  const isMain = ({ release, entry }: Candidate): boolean =>
    release.channels['stable']?.cid === entry.cid;
  if (isMain(a) !== isMain(b)) return isMain(a);
  return a.entry.metadata !== null && b.entry.metadata === null;
}

async function verifyAll(
  manifests: ManifestReader,
  candidates: readonly Candidate[],
  signal: AbortSignal,
): Promise<FoundModel[]> {
  const queue = [...candidates];
  const found: FoundModel[] = [];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      found.push(await verify(manifests, next, signal));
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
  return found;
}

async function verify(
  manifests: ManifestReader,
  { release, entry }: Candidate,
  signal: AbortSignal,
): Promise<FoundModel> {
  const { publisher, name } = release;
  const model = { publisher, name, cid: entry.cid, record: release };
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);
    const { metadata } = await manifests.read(entry.cid, bounded);
    return { ...model, metadata: catalogMetadata(metadata), verified: true };
  } catch {
    // Nobody who holds it could be asked: what was told is told on, and said to be unchecked.
    signal.throwIfAborted();
    return { ...model, metadata: entry.metadata, verified: false };
  }
}

function key({ publisher, name }: { publisher: string; name: string }): string {
  return `${publisher}/${name}`;
}
