import os from 'node:os';
import type { PrivateKey } from '@libp2p/interface';
import type { Logger } from 'pino';
import {
  type AnnouncedDevice,
  type AnnouncedVersion,
  type Announcement,
  announcementPages,
  capacityBucket,
  signAnnouncement,
} from '../protocols/capacity/index.ts';
import type { NodeId, OwnerId } from '../protocols/types.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';

/** Leases last this many announcement intervals: two may be lost. */
const LEASE_INTERVALS = 3;

/** Changes within this time go out as one announcement. */
const DEBOUNCE_MS = 50;

/**
 * A subscriber that could not be sent an announcement, for the stream to it is still being opened, is spoken to again after
 * this, then twice this and so on until the next interval: without it a node that has just come is unheard of until then.
 */
const RETRY_MS = 100;

/** What an announcer reads each time it speaks. */
export interface AnnouncerSource {
  /** Every version held, in any state; `gone` ones until they were told a few times. */
  versions(): readonly AnnouncedVersion[];
  devices(): readonly AnnouncedDevice[];
  /** What further versions may take. */
  room(): Pick<Announcement, 'roomBytes' | 'diskFreeBytes'>;
  /** What its operator has it do with further versions, and what it costs. */
  terms(): Pick<Announcement, 'cordoned' | 'leaving' | 'costPerHour'>;
}

export interface AnnouncerInit {
  readonly privateKey: PrivateKey;
  readonly owner: OwnerId;
  readonly ownerCertificate: Uint8Array;
  readonly zone: string;
  readonly tags: readonly string[];
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
  #paused = false;
  #sequence = 0;
  #interval: NodeJS.Timeout | undefined;
  #debounce: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Wait before the next retry. It goes back only when somebody comes: one that can never be reached costs no more each interval. */
  #retryMs = RETRY_MS;
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
    this.#peer.libp2p.services.gossip.addEventListener('subscription-change', this.#onArrival);
    this.changed();
  }

  /** Something worth telling happened; it goes out within a blink, together with whatever else does. */
  changed(): void {
    if (this.#interval === undefined) return;
    this.#debounce ??= setTimeout(() => {
      this.#debounce = undefined;
      void this.#speak();
    }, DEBOUNCE_MS);
  }

  /** Says from now on whether this node takes no requests for a while. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.changed();
  }

  /** Says once more, at once, that this node takes nothing new. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#speak();
  }

  async stop(): Promise<void> {
    clearInterval(this.#interval);
    clearTimeout(this.#debounce);
    this.#interval = undefined;
    this.#debounce = undefined;
    this.#peer.libp2p.services.gossip.removeEventListener('subscription-change', this.#onArrival);
    await this.#publishing;
    clearTimeout(this.#retry);
  }

  readonly #onArrival = (): void => {
    this.#retryMs = RETRY_MS;
    this.changed();
  };

  readonly #warn = (error: unknown): void => {
    this.#init.logger.warn({ err: error }, 'announcement failed; the next one follows');
  };

  /** One after the other, so that sequences go out in order. Never rejects. */
  async #speak(): Promise<void> {
    this.#publishing = this.#publishing.then(() => this.#publish()).catch(this.#warn);
    await this.#publishing;
  }

  /** Every page also reaches this peer's own view, from which snapshots are answered. One that fails holds up no other. */
  async #publish(): Promise<void> {
    clearTimeout(this.#retry);
    let reachedAll = true;
    for (const [bucket, versions] of byBucket(this.#source.versions(), this.#peer.id)) {
      this.#peer.gossip.join(bucket);
      for (const page of announcementPages(this.#head(), versions)) {
        try {
          reachedAll = (await this.#send(bucket, page)) && reachedAll;
        } catch (error) {
          this.#warn(error);
        }
      }
    }
    if (!reachedAll) this.#speakAgain();
  }

  #speakAgain(): void {
    if (this.#interval === undefined || this.#retryMs >= this.#init.intervalMs) return;
    this.#retry = setTimeout(() => this.changed(), this.#retryMs);
    this.#retryMs *= 2;
  }

  /** False when somebody who listens was not sent it. */
  async #send(bucket: number, page: Announcement): Promise<boolean> {
    const announcement = { ...page, sequence: this.#nextSequence() };
    const bytes = await signAnnouncement(announcement, this.#init.privateKey);
    this.#peer.view.add(announcement, bytes, Date.now());
    return this.#peer.gossip.publish(bucket, bytes);
  }

  #nextSequence(): number {
    this.#sequence = Math.max(this.#sequence + 1, Date.now());
    return this.#sequence;
  }

  /** What every page says. */
  #head(): Omit<Announcement, 'versions'> {
    return {
      node: this.#peer.id,
      sequence: this.#sequence,
      leaseMs: this.#init.intervalMs * LEASE_INTERVALS,
      addresses: this.#peer.libp2p
        .getMultiaddrs()
        .map((address) => address.decapsulate('/p2p').toString()),
      owner: this.#init.owner,
      ownerCertificate: this.#init.ownerCertificate,
      zone: this.#init.zone,
      ...(this.#init.tags.length === 0 ? {} : { tags: this.#init.tags }),
      state: this.#draining ? 'draining' : this.#paused ? 'paused' : 'serving',
      ...this.#source.terms(),
      devices: this.#source.devices(),
      memoryTotalBytes: os.totalmem(),
      memoryFreeBytes: os.freemem(),
      ...this.#source.room(),
      agent: this.#init.agent,
    };
  }
}

/** A node without any version still speaks, in a bucket of its own. */
function byBucket(
  versions: readonly AnnouncedVersion[],
  node: NodeId,
): ReadonlyMap<number, readonly AnnouncedVersion[]> {
  if (versions.length === 0) return new Map([[capacityBucket(node), []]]);
  return Map.groupBy(versions, ({ cid }) => capacityBucket(cid));
}
