import { BoundedMap } from '../../protocols/bounded-map.ts';
import { capacityBucket } from '../../protocols/capacity/index.ts';
import type { RecruitNotice } from '../../protocols/demand/index.ts';
import { type Manifest, manifestBytes, resolveDeployment } from '../../protocols/manifest/index.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import type { NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { estimateMemory, versionSize } from '../policy/memory-need.ts';
import type { VersionView } from '../policy/scaling/scaling-view.ts';
import type { SwarmPeer } from './peer.ts';

/** Versions known of; the one spoken of longest ago goes first. */
const MAX_VERSIONS = 1_024;

/** Versions asked about at a time. */
const MAX_LOOKUPS = 4;

/** Milliseconds for all that is asked about one version. */
const LOOKUP_TIMEOUT_MS = 10_000;

/** Milliseconds after which what was not found is asked for again; twice that the next time, and so on. */
const RETRY_MS = 1_000;

/** Milliseconds between two look-ups of one version at most. */
const MAX_RETRY_MS = 30_000;

/** Reads the manifest of a version that somebody holds. */
export type ReadManifest = (cid: VersionCid, signal: AbortSignal) => Promise<Manifest>;

/** Which version, and of which model. */
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
  readonly #known = new BoundedMap<VersionCid, Known>(MAX_VERSIONS);
  readonly #lookups = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(peer: SwarmPeer, readManifest: ReadManifest) {
    this.#peer = peer;
    this.#readManifest = readManifest;
  }

  /** The version when all is known of it and a channel points at it; else it is looked up in the background. */
  get(origin: VersionOrigin): ScaledVersion | undefined {
    const known = this.#knownOf(origin);
    const record = this.#peer.releases.cached(origin.publisher, origin.name)?.record;
    const isReleased = record !== undefined && pointsAt(record, origin.cid);
    if (known.facts !== undefined && isReleased) return known.facts;
    if (known.facts === undefined || record === undefined) this.#ask(known);
    return undefined;
  }

  /** Of which model a version is, as far as it was ever heard. */
  origin(cid: VersionCid): VersionOrigin | undefined {
    return this.#known.get(cid)?.origin;
  }

  /** Versions that were heard of. */
  get cids(): readonly VersionCid[] {
    return [...this.#known.keys()];
  }

  /** A version lacks replicas: from now on its demand and its holders are heard, the reporter's word on them first. */
  recruit({ publisher, name, cid, reporter }: RecruitNotice): void {
    this.#peer.gossip.join(capacityBucket(cid));
    this.#peer.demand.join(cid);
    this.#ask(this.#knownOf({ publisher, name, cid }), reporter);
  }

  /** Ends the look-ups under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the peer stops', 'AbortError'));
    await Promise.all(this.#lookups);
  }

  #knownOf(origin: VersionOrigin): Known {
    const known = this.#known.get(origin.cid) ?? {
      ...{ origin, facts: undefined, dueAtMs: 0 },
      retryMs: RETRY_MS,
    };
    // Setting it again moves it to the end: the map's order is that of the last word heard.
    this.#known.set(origin.cid, known);
    return known;
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
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
    const query = { kind: 'model', publisher, name, selector: cid } as const;
    if (reporter !== undefined) {
      await this.#peer.snapshot(reporter, query, signal).catch(() => {
        // It may have gone: the DHT and those around know the rest.
      });
    }
    known.facts ??= factsOf(known.origin, await this.#readManifest(cid, signal));
    // A version is placed a moment before it is released: then the record comes by gossip.
    if (this.#peer.releases.cached(publisher, name) === undefined) {
      await this.#peer.releases.find(publisher, name, { signal });
    }
  }
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
