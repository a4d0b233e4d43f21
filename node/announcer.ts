import os from 'node:os';
import type { PrivateKey } from '@libp2p/interface';
import type { Logger } from 'pino';
import {
  type AnnouncedDevice,
  type AnnouncedVersion,
  type Announcement,
  capacityBucket,
  MAX_ANNOUNCED_VERSIONS,
  signAnnouncement,
} from '../protocols/capacity/index.ts';
import type { NodeId, OwnerId } from '../protocols/types.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';

/** Leases last this many announcement intervals: two may be lost. */
const LEASE_INTERVALS = 3;

/** Changes within this time go out as one announcement. */
const DEBOUNCE_MS = 50;

/** What an announcer reads each time it speaks. */
export interface AnnouncerSource {
  /** Every version held, in any state; `gone` ones until they were told a few times. */
  versions(): readonly AnnouncedVersion[];
  devices(): readonly AnnouncedDevice[];
}

export interface AnnouncerInit {
  readonly privateKey: PrivateKey;
  readonly owner: OwnerId;
  readonly ownerCertificate: Uint8Array;
  readonly zone: string;
  readonly agent: string;
  readonly intervalMs: number;
  readonly logger: Logger;
}

/** Tells the swarm what this node holds and how busy it is: on change, and every interval for as long as it lives. */
export class Announcer {
  readonly #peer: SwarmPeer;
  readonly #source: AnnouncerSource;
  readonly #init: AnnouncerInit;
  #draining = false;
  #sequence = 0;
  #interval: NodeJS.Timeout | undefined;
  #debounce: NodeJS.Timeout | undefined;
  #publishing: Promise<void> = Promise.resolve();

  constructor(peer: SwarmPeer, source: AnnouncerSource, init: AnnouncerInit) {
    this.#peer = peer;
    this.#source = source;
    this.#init = init;
  }

  start(): void {
    if (this.#interval !== undefined) return;
    this.#interval = setInterval(() => this.changed(), this.#init.intervalMs);
    // A peer that just arrived has missed what was said before: it hears the rest at once.
    this.#peer.libp2p.services.gossip.addEventListener('subscription-change', this.#onChange);
    this.changed();
  }

  /** Something worth telling happened; it goes out within a blink, together with whatever else does. */
  changed(): void {
    if (this.#interval === undefined) return;
    this.#debounce ??= setTimeout(() => {
      this.#debounce = undefined;
      this.#publishing = this.#publishing.then(() => this.#publish());
    }, DEBOUNCE_MS);
  }

  /** Says once more, at once, that this node takes nothing new. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#publishing = this.#publishing.then(() => this.#publish());
    await this.#publishing;
  }

  async stop(): Promise<void> {
    clearInterval(this.#interval);
    clearTimeout(this.#debounce);
    this.#interval = undefined;
    this.#debounce = undefined;
    this.#peer.libp2p.services.gossip.removeEventListener('subscription-change', this.#onChange);
    await this.#publishing;
  }

  readonly #onChange = (): void => this.changed();

  /** One announcement per bucket and page; every page also reaches this peer's own view, from which snapshots are answered. */
  async #publish(): Promise<void> {
    try {
      for (const [bucket, versions] of pages(this.#source.versions(), this.#peer.id)) {
        this.#peer.gossip.join(bucket);
        const announcement = this.#announcement(versions);
        const bytes = await signAnnouncement(announcement, this.#init.privateKey);
        this.#peer.view.add(announcement, bytes, Date.now());
        await this.#peer.gossip.publish(bucket, bytes);
      }
    } catch (error) {
      this.#init.logger.warn({ err: error }, 'announcement failed; the next one follows');
    }
  }

  #announcement(versions: readonly AnnouncedVersion[]): Announcement {
    this.#sequence = Math.max(this.#sequence + 1, Date.now());
    return {
      node: this.#peer.id as NodeId,
      sequence: this.#sequence,
      leaseMs: this.#init.intervalMs * LEASE_INTERVALS,
      addresses: this.#peer.libp2p
        .getMultiaddrs()
        .slice(0, 8)
        .map((address) => address.decapsulate('/p2p').toString())
        .filter((address) => address.length <= 128),
      owner: this.#init.owner,
      ownerCertificate: this.#init.ownerCertificate,
      zone: this.#init.zone,
      state: this.#draining ? 'draining' : 'serving',
      devices: this.#source.devices().slice(0, 4),
      memoryTotalBytes: os.totalmem(),
      memoryFreeBytes: os.freemem(),
      agent: this.#init.agent,
      versions,
    };
  }
}

/** Versions by bucket, at most `MAX_ANNOUNCED_VERSIONS` a page; a node without any still speaks, in a bucket of its own. */
function pages(
  versions: readonly AnnouncedVersion[],
  node: NodeId,
): [number, AnnouncedVersion[]][] {
  const byBucket = new Map<number, AnnouncedVersion[][]>();
  for (const version of versions) {
    const bucket = capacityBucket(version.cid);
    const list = byBucket.get(bucket) ?? [];
    byBucket.set(bucket, list);
    const last = list.at(-1);
    if (last === undefined || last.length >= MAX_ANNOUNCED_VERSIONS) list.push([version]);
    else last.push(version);
  }
  if (byBucket.size === 0) return [[capacityBucket(node), []]];
  return [...byBucket].flatMap(([bucket, list]) =>
    list.map((page): [number, AnnouncedVersion[]] => [bucket, page]),
  );
}
