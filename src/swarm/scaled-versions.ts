import { BoundedMap } from '../../protocols/bounded-map.ts';
import { capacityBucket } from '../../protocols/capacity/index.ts';
import type { RecruitNotice } from '../../protocols/demand/index.ts';
import { type Manifest, manifestBytes, resolveDeployment } from '../../protocols/manifest/index.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import type { NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { estimateMemory, versionSize } from '../policy/memory-need.ts';
import type { VersionView } from '../policy/scaling/scaling-view.ts';
import type { SwarmPeer } from './peer.ts';
import type { KnownRelease } from './releases.ts';

/** Versions known of; the one spoken of longest ago goes first. */
const MAX_VERSIONS = 1_024;

/** Models that one version is known to be of: the same bytes may be published under several names. */
export const MAX_ORIGINS = 4;

/** Versions asked about at a time. */
const MAX_LOOKUPS = 4;

/** Milliseconds for all that is asked about one version. */
const LOOKUP_TIMEOUT_MS = 10_000;

/** Milliseconds after which what was not found is asked for again; twice that the next time, and so on. */
const RETRY_MS = 1_000;

/** Milliseconds between two look-ups of one version at most. */
const MAX_RETRY_MS = 30_000;

/** Milliseconds after which it is asked again what a model's release points at: who missed its move scales what nobody serves any more. */
const RELEASE_AGE_MS = 60_000;

/** Reads the manifest of a version that somebody holds. */
export type ReadManifest = (cid: VersionCid, signal: AbortSignal) => Promise<Manifest>;

/** Which version, and of which model: it is what a holder or a notice says, and may be wrong. */
export interface VersionOrigin {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
}

/** A version with what its manifest says of how it is to be held. */
export interface ScaledVersion
  extends VersionOrigin,
    Pick<VersionView, 'deployment' | 'memoryBytes' | 'fileBytes'> {
  /** What it does, in the publisher's words; undefined when untold. */
  readonly task: string | undefined;
}

interface Known {
  readonly origin: VersionOrigin;
  /** Undefined until the manifest was read; it never changes. */
  facts: ScaledVersion | undefined;
  /** When it may be asked about again. */
  dueAtMs: number;
  retryMs: number;
}

/**
 * The versions that a swarm scales: those that a channel of their publisher's signed release points at. What is heard of one gives
 * no right: its release and its manifest are looked up before it counts.
 */
export class ScaledVersions {
  readonly #peer: SwarmPeer;
  readonly #readManifest: ReadManifest;
  /** Of each version, by the name of the model that it is said to be of, in the order in which they were heard. */
  readonly #known = new BoundedMap<VersionCid, Map<string, Known>>(MAX_VERSIONS);
  readonly #lookups = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(peer: SwarmPeer, readManifest: ReadManifest) {
    this.#peer = peer;
    this.#readManifest = readManifest;
  }

  /** True while something is asked about versions: what is not known yet may soon be. */
  get asking(): boolean {
    return this.#lookups.size > 0;
  }

  /** The version when all is known of it and a channel of this model points at it; else it is looked up in the background. */
  get(origin: VersionOrigin): ScaledVersion | undefined {
    const known = this.#knownOf(origin);
    return known === undefined ? undefined : this.#scaled(known);
  }

  /** The version as the first of the models it was ever said to be of that points at it. */
  version(cid: VersionCid): ScaledVersion | undefined {
    for (const known of this.#known.get(cid)?.values() ?? []) {
      const version = this.#scaled(known);
      if (version !== undefined) return version;
    }
    return undefined;
  }

  /** A version lacks replicas: from now on its demand and its holders are heard, the reporter's word on them first. */
  recruit({ publisher, name, cid, reporter }: RecruitNotice): void {
    this.#peer.gossip.join(capacityBucket(cid));
    this.#peer.demand.join(cid);
    const known = this.#knownOf({ publisher, name, cid });
    if (known !== undefined) this.#ask(known, reporter);
  }

  /** Ends the look-ups under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the peer stops', 'AbortError'));
    await Promise.all(this.#lookups);
  }

  #scaled(known: Known): ScaledVersion | undefined {
    const release = this.#releaseOf(known.origin);
    if (known.facts === undefined || !isFresh(release)) this.#ask(known);
    return this.#isReleased(known) ? known.facts : undefined;
  }

  /** Undefined when the version is one of as many models already. */
  #knownOf(origin: VersionOrigin): Known | undefined {
    const models = this.#known.get(origin.cid) ?? new Map<string, Known>();
    // Setting it again moves it to the end: the map's order is that of the last word heard.
    this.#known.set(origin.cid, models);
    const model = `${origin.publisher}/${origin.name}`;
    const known = models.get(model) ?? {
      ...{ origin, facts: undefined, dueAtMs: 0 },
      retryMs: RETRY_MS,
    };
    if (models.size >= MAX_ORIGINS && !models.has(model)) {
      // What anybody made up makes room for what a publisher may have released, never the other way round.
      const unproven = [...models].find(([, other]) => !this.#isReleased(other));
      if (unproven === undefined) return undefined;
      models.delete(unproven[0]);
    }
    models.set(model, known);
    return known;
  }

  #releaseOf({ publisher, name }: VersionOrigin): KnownRelease | undefined {
    return this.#peer.releases.cached(publisher, name);
  }

  #isReleased({ origin }: Known): boolean {
    const release = this.#releaseOf(origin);
    return release !== undefined && pointsAt(release.record, origin.cid);
  }

  #ask(known: Known, reporter?: NodeId): void {
    if (this.#lookups.size >= MAX_LOOKUPS || this.#stopping.signal.aborted) return;
    const nowMs = Date.now();
    if (nowMs < known.dueAtMs) return;
    known.dueAtMs = nowMs + known.retryMs;
    known.retryMs = Math.min(MAX_RETRY_MS, 2 * known.retryMs);
    const lookup = this.#lookUp(known, reporter).catch(() => {
      // Nobody who holds it could be asked: tried again while it is spoken of.
    });
    this.#lookups.add(lookup);
    void lookup.finally(() => this.#lookups.delete(lookup));
  }

  async #lookUp(known: Known, reporter: NodeId | undefined): Promise<void> {
    const { publisher, name, cid } = known.origin;
    // A version is placed a moment before it is released, and superseded at any: either is heard by gossip.
    this.#peer.follow(publisher, name);
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
    const query = { kind: 'model', publisher, name, selector: cid } as const;
    if (reporter !== undefined) {
      // It may have gone: the DHT and those around know the rest.
      await Promise.allSettled(this.#peer.snapshots(query, { signal, peers: [reporter] }));
    }
    known.facts ??= factsOf(known.origin, await this.#readManifest(cid, signal));
    const release = this.#releaseOf(known.origin);
    const found = isFresh(release)
      ? release
      : await this.#peer.releases.find(publisher, name, { signal, maxAgeMs: RELEASE_AGE_MS });
    if (isFresh(found)) known.retryMs = RETRY_MS;
  }
}

/** Whether the DHT was asked for it of late, by this peer or by who told it. */
function isFresh(release: KnownRelease | undefined): boolean {
  return release !== undefined && Date.now() - release.checkedAtMs < RELEASE_AGE_MS;
}

function factsOf(origin: VersionOrigin, manifest: Manifest): ScaledVersion {
  return {
    ...origin,
    task: manifest.metadata.task,
    deployment: resolveDeployment(manifest.deployment),
    memoryBytes: estimateMemory(versionSize(manifest), false).hostBytes,
    fileBytes: manifestBytes(manifest),
  };
}

/** Also what a guard falls back to at any moment. */
function pointsAt({ channels }: ReleaseRecord, cid: VersionCid): boolean {
  return Object.values(channels).some((channel) => channel.cid === cid || channel.previous === cid);
}
