import * as dagCbor from '@ipld/dag-cbor';
import type { ModelMetadata } from '../../protocols/manifest/index.ts';
import { DEFAULT_CHANNEL } from '../../protocols/reference.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import {
  type CatalogAnswer,
  type CatalogEntry,
  type CatalogMetadata,
  type CatalogQuery,
  MAX_CATALOG_DESCRIPTION,
  MAX_CATALOG_ENTRIES,
  MAX_CATALOG_METADATA_BYTES,
} from '../../protocols/routing/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { matchesCatalog } from '../policy/catalog-match.ts';
import type { SwarmPeer } from './peer.ts';

/** Models looked at for one query. */
const MAX_MODELS = 4096;

/** Reads what a held version's manifest says of it; undefined for a version that is not held here. */
export type ReadMetadata = (cid: VersionCid) => Promise<ModelMetadata | undefined>;

interface KnownModel {
  readonly publisher: PublisherId;
  readonly name: string;
  /** Versions of it that some node is known to hold. */
  readonly cids: Set<VersionCid>;
}

/** The models a peer knows: those it has the release of and whose versions it heard announced, with the metadata of those it holds. */
export async function answerCatalog(
  peer: SwarmPeer,
  query: CatalogQuery,
  readMetadata: ReadMetadata | undefined,
): Promise<CatalogAnswer> {
  const entries: CatalogEntry[] = [];
  let omitted = 0;
  for (const { publisher, name, cids } of knownModels(peer)) {
    if (query.publisher !== undefined && query.publisher !== publisher) continue;
    const release = peer.releases.cached(publisher, name);
    const cid = release && releasedVersion(release.record, cids);
    if (release === undefined || cid === undefined) continue;
    const read = await readMetadata?.(cid);
    const metadata = read === undefined ? null : catalogMetadata(read);
    if (!matchesCatalog({ publisher, name, metadata }, query)) continue;
    if (entries.length < MAX_CATALOG_ENTRIES) {
      entries.push({ release: release.bytes, cid, metadata });
    } else {
      omitted += 1;
    }
  }
  return { entries, omitted };
}

/** The version that stands for a model in a list: that of `stable`, else of the first channel that points at one of these. */
export function releasedVersion(
  { channels }: Pick<ReleaseRecord, 'channels'>,
  cids: ReadonlySet<VersionCid>,
): VersionCid | undefined {
  const names = Object.keys(channels).sort((a, b) => (a < b ? -1 : 1));
  const inOrder = [DEFAULT_CHANNEL, ...names].flatMap((channel) => channels[channel]?.cid ?? []);
  return inOrder.find((cid) => cids.has(cid));
}

/** What an entry tells of a manifest, cut to its bounds: a description's beginning, and labels as long as they fit. */
export function catalogMetadata(metadata: ModelMetadata): CatalogMetadata {
  const { task, licence } = metadata;
  const description = metadata.description?.slice(0, MAX_CATALOG_DESCRIPTION);
  const head = {
    ...(task === undefined ? {} : { task }),
    ...(licence === undefined ? {} : { licence }),
    ...(description === undefined ? {} : { description }),
  };
  const labels: Record<string, string> = {};
  for (const [label, value] of Object.entries(metadata.labels ?? {})) {
    const longer = { ...head, labels: { ...labels, [label]: value } };
    if (dagCbor.encode(longer).byteLength > MAX_CATALOG_METADATA_BYTES) break;
    labels[label] = value;
  }
  return Object.keys(labels).length === 0 ? head : { ...head, labels };
}

function knownModels(peer: SwarmPeer): KnownModel[] {
  const models = new Map<string, KnownModel>();
  const held = new Set<VersionCid>();
  for (const { version } of peer.view.replicas(Date.now())) {
    const { publisher, name, cid } = version;
    const key = `${publisher}/${name}`;
    held.add(cid);
    const model = models.get(key) ?? { publisher, name, cids: new Set<VersionCid>() };
    if (models.size < MAX_MODELS) models.set(key, model);
    model.cids.add(cid);
  }
  // A replica is announced under one name, and the same bytes may be published under others.
  for (const { record } of peer.releases.allCached()) {
    const { publisher, name, channels } = record;
    const key = `${publisher}/${name}`;
    const named = Object.values(channels).map(({ cid }) => cid);
    const cids = named.filter((cid) => held.has(cid));
    if (cids.length === 0 || models.size >= MAX_MODELS) continue;
    const known = models.get(key)?.cids ?? [];
    models.set(key, { publisher, name, cids: new Set([...known, ...cids]) });
  }
  return [...models.values()];
}
