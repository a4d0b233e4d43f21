import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { AnnouncedVersion, Announcement } from '../../protocols/capacity/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';

/** Nodes remembered at most; the ones not heard for longest go first. */
export const MAX_VIEW_NODES = 4096;

/** Versions remembered of one node at most: what it told longest ago goes first. */
export const MAX_VERSIONS_PER_NODE = 1024;

/**
 * Milliseconds for which a node that was found gone is believed only face to face: the longest lease there is, so that nothing it
 * said before can bring it back.
 */
export const TOMBSTONE_MS = 600_000;

/** A node as its latest announcements tell it. */
export interface NodeView {
  readonly announcement: Announcement;
  /** The announcement as it was signed, to be relayed. */
  readonly bytes: Uint8Array;
  /** Milliseconds on the local clock when it was received, less the age a relay gave it. */
  readonly heardAtMs: number;
}

/** One version on one node, with the node it stands on. */
export interface ReplicaView {
  readonly node: NodeView;
  readonly version: AnnouncedVersion;
  readonly heardAtMs: number;
}

interface NodeEntry {
  latest: NodeView;
  /** The latest status of each version; a node with many spreads them over several announcements. */
  readonly versions: Map<
    VersionCid,
    { readonly version: AnnouncedVersion; readonly page: NodeView }
  >;
}

/** A node that was found gone, with what is known of it should it be found again. */
interface Tombstone {
  readonly entry: NodeEntry;
  readonly atMs: number;
}

/**
 * What is known of the swarm's nodes: signed hints with a lease, fed by gossip and by snapshots.
 *
 * Invariants: an entry is never older than its lease when it is read. A node that was buried is not read until it is revived,
 * whatever is heard of it meanwhile.
 */
export class SwarmView {
  readonly #nodes = new Map<NodeId, NodeEntry>();
  /** Of each version the nodes that told of it, in whichever state: to look through all of them takes as long as some requests do. */
  readonly #tellers = new Map<VersionCid, Set<NodeEntry>>();
  readonly #tombstones = new BoundedMap<NodeId, Tombstone>(MAX_VIEW_NODES);
  readonly #listeners = new Set<(announcement: Announcement) => void>();

  /**
   * Takes in an announcement whose signature was checked. Returns false when it is older than what is known or past its
   * lease, and then changes nothing. What a buried node says is kept for when it is found.
   */
  add(announcement: Announcement, bytes: Uint8Array, nowMs: number, ageMs = 0): boolean {
    if (ageMs >= announcement.leaseMs) return false;
    const view: NodeView = { announcement, bytes, heardAtMs: nowMs - ageMs };
    const buried = this.#tombstone(announcement.node, nowMs)?.entry;
    const known = buried ?? this.#nodes.get(announcement.node);
    const newer = known === undefined || announcement.sequence > known.latest.announcement.sequence;
    const entry = known ?? { latest: view, versions: new Map() };
    if (newer) entry.latest = view;
    let changed = newer;
    for (const version of announcement.versions) {
      const seen = entry.versions.get(version.cid);
      const sequence = seen?.page.announcement.sequence ?? 0;
      if (announcement.sequence <= sequence) continue;
      // Deleting first keeps the map in the order of what was told last.
      entry.versions.delete(version.cid);
      entry.versions.set(version.cid, { version, page: view });
      changed = true;
    }
    if (!changed) return false;
    const forgotten = trimVersions(entry, nowMs);
    if (buried !== undefined) return true;
    this.#enter(
      announcement.node,
      entry,
      announcement.versions.map(({ cid }) => cid),
    );
    for (const cid of forgotten) this.#tellsNoMore(cid, entry);
    for (const listener of this.#listeners) listener(announcement);
    return true;
  }

  /** Calls back for each announcement taken in; returns the function that ends it. */
  onChange(listener: (announcement: Announcement) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a node out that was looked for and not found; returns it as it was last heard of, undefined when it is not known. */
  bury(node: NodeId, nowMs: number): NodeView | undefined {
    const entry = this.#nodes.get(node);
    if (entry === undefined) return undefined;
    this.#remove(node, entry);
    this.#tombstones.set(node, { entry, atMs: nowMs });
    return entry.latest;
  }

  /** Takes a node back that was found, with all it said whose lease runs. False when it was not buried. */
  revive(node: NodeId, nowMs: number): boolean {
    const entry = this.#tombstone(node, nowMs)?.entry;
    if (entry === undefined) return false;
    this.#tombstones.delete(node);
    this.#enter(node, entry, entry.versions.keys());
    for (const listener of this.#listeners) listener(entry.latest.announcement);
    return true;
  }

  /** A buried node as it was last heard of; undefined when it is not buried. */
  buried(node: NodeId, nowMs: number): NodeView | undefined {
    return this.#tombstone(node, nowMs)?.entry.latest;
  }

  /** The buried nodes that held a version, the one buried last first. */
  buriedHolders(cid: VersionCid, nowMs: number): NodeId[] {
    const held = [...this.#tombstones.keys()].filter((node) => {
      const state = this.#tombstone(node, nowMs)?.entry.versions.get(cid)?.version.state;
      return state !== undefined && state !== 'gone';
    });
    return held.toReversed();
  }

  /** The node, when its lease runs. */
  node(node: NodeId, nowMs: number): NodeView | undefined {
    const entry = this.#nodes.get(node);
    return entry !== undefined && isLive(entry.latest, nowMs) ? entry.latest : undefined;
  }

  /** All nodes whose lease runs, the most recently heard last. */
  nodes(nowMs: number): NodeView[] {
    const live: NodeView[] = [];
    for (const entry of this.#nodes.values())
      if (isLive(entry.latest, nowMs)) live.push(entry.latest);
    return live;
  }

  /** The versions that a node holds, in any state but `gone`. */
  versionsOf(node: NodeId, nowMs: number): VersionCid[] {
    const versions = this.#nodes.get(node)?.versions.values() ?? [];
    return [...versions].flatMap(({ version, page }) =>
      version.state === 'gone' || !isLive(page, nowMs) ? [] : [version.cid],
    );
  }

  /** Every version of every live node, in any state but `gone`. */
  replicas(nowMs: number): ReplicaView[] {
    const found: ReplicaView[] = [];
    for (const entry of this.#nodes.values()) {
      for (const { version, page } of entry.versions.values()) {
        if (version.state === 'gone' || !isLive(page, nowMs)) continue;
        found.push({ node: entry.latest, version, heardAtMs: page.heardAtMs });
      }
    }
    return found;
  }

  /** The live replicas of one version that are READY on nodes that still take requests. */
  ready(cid: VersionCid, nowMs: number): ReplicaView[] {
    return this.holders(cid, nowMs).filter(
      ({ node, version }) => version.state === 'ready' && node.announcement.state === 'serving',
    );
  }

  /** The live replicas of one version that are loaded as soon as a request asks for them. */
  cold(cid: VersionCid, nowMs: number): ReplicaView[] {
    return this.holders(cid, nowMs).filter(
      ({ node, version }) => version.state === 'cold' && node.announcement.state === 'serving',
    );
  }

  /** The live replicas of one version, in any state but `gone`. */
  holders(cid: VersionCid, nowMs: number): ReplicaView[] {
    const found: ReplicaView[] = [];
    for (const entry of this.#tellers.get(cid) ?? []) {
      const held = heldBy(entry, cid, nowMs);
      if (held === undefined) continue;
      found.push({ node: entry.latest, version: held.version, heardAtMs: held.page.heardAtMs });
    }
    return found;
  }

  /** Whether any live node has a version, in any state but `gone`. */
  isHeld(cid: VersionCid, nowMs: number): boolean {
    for (const entry of this.#tellers.get(cid) ?? []) {
      if (heldBy(entry, cid, nowMs) !== undefined) return true;
    }
    return false;
  }

  /** Whether a node is live and has a version, in any state but `gone`. */
  isHolder(node: NodeId, cid: VersionCid, nowMs: number): boolean {
    const entry = this.#nodes.get(node);
    return entry !== undefined && heldBy(entry, cid, nowMs) !== undefined;
  }

  /** The announcements that tell of a version, to be relayed to a peer that asks. */
  announcementsOf(cid: VersionCid, nowMs: number): NodeView[] {
    const found: NodeView[] = [];
    for (const entry of this.#tellers.get(cid) ?? []) {
      const held = entry.versions.get(cid);
      if (held !== undefined && isLive(held.page, nowMs)) found.push(held.page);
    }
    return found;
  }

  /** Every live announcement, pages of one node included. */
  announcements(nowMs: number): NodeView[] {
    const found = new Set<NodeView>();
    for (const entry of this.#nodes.values()) {
      if (isLive(entry.latest, nowMs)) found.add(entry.latest);
      for (const { page } of entry.versions.values()) if (isLive(page, nowMs)) found.add(page);
    }
    return [...found];
  }

  #tombstone(node: NodeId, nowMs: number): Tombstone | undefined {
    const tombstone = this.#tombstones.get(node);
    if (tombstone === undefined || nowMs - tombstone.atMs < TOMBSTONE_MS) return tombstone;
    this.#tombstones.delete(node);
    return undefined;
  }

  /** Makes a node the one heard last, by these of its versions; the one not heard for longest goes when it is one too many. */
  #enter(node: NodeId, entry: NodeEntry, versions: Iterable<VersionCid>): void {
    // Deleting first moves the node to the end: the map's order is that of the last word heard.
    this.#nodes.delete(node);
    this.#nodes.set(node, entry);
    for (const cid of versions) {
      const tellers = this.#tellers.get(cid) ?? new Set<NodeEntry>();
      this.#tellers.set(cid, tellers.add(entry));
    }
    if (this.#nodes.size <= MAX_VIEW_NODES) return;
    for (const [silent, forgotten] of this.#nodes) return this.#remove(silent, forgotten);
  }

  #remove(node: NodeId, entry: NodeEntry): void {
    this.#nodes.delete(node);
    for (const cid of entry.versions.keys()) this.#tellsNoMore(cid, entry);
  }

  #tellsNoMore(cid: VersionCid, entry: NodeEntry): void {
    const tellers = this.#tellers.get(cid);
    tellers?.delete(entry);
    if (tellers?.size === 0) this.#tellers.delete(cid);
  }
}

/** Forgets what is past its lease, and what is too much, for a node may name ever new versions; returns what it forgot. */
function trimVersions({ versions }: NodeEntry, nowMs: number): VersionCid[] {
  const forgotten: VersionCid[] = [];
  for (const [cid, { page }] of versions) {
    if (isLive(page, nowMs) && versions.size <= MAX_VERSIONS_PER_NODE) break;
    versions.delete(cid);
    forgotten.push(cid);
  }
  return forgotten;
}

/** What a node has of a version; undefined when that is nothing, or its word on it is past its lease. */
function heldBy(
  { versions }: NodeEntry,
  cid: VersionCid,
  nowMs: number,
): { readonly version: AnnouncedVersion; readonly page: NodeView } | undefined {
  const held = versions.get(cid);
  if (held === undefined || held.version.state === 'gone') return undefined;
  return isLive(held.page, nowMs) ? held : undefined;
}

function isLive(view: NodeView, nowMs: number): boolean {
  return nowMs - view.heardAtMs < view.announcement.leaseMs;
}
