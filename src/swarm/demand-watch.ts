import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PrivateKey } from '@libp2p/interface';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import {
  claimedReporter,
  DEMAND_TOPIC_COUNT,
  type DemandDigest,
  demandBucket,
  demandTopic,
  MAX_DEMAND_VERSIONS,
  openDemand,
  signDemand,
  totalPerS,
  type VersionDemand,
} from '../../protocols/demand/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { TokenBucket } from '../../protocols/token-bucket.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { DemandMeter, type DemandMeterInit } from '../policy/scaling/demand-meter.ts';
import {
  type DigestPace,
  digestIntervalMs,
  isDigestDue,
  isIdle,
  digestLookMs,
} from '../policy/scaling/digest-schedule.ts';
import type { DemandReport } from '../policy/scaling/scaling-view.ts';
import { DemandLedger, type KnownHolders } from './demand-ledger.ts';
import { GossipTopics } from './gossip-topics.ts';
import { peerIdText } from './identity.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import type { SwarmView } from './view.ts';

/** Digests of one topic that are checked a second, and at once, of known nodes and of all others each: what comes beyond is passed over. */
const TOPIC_RATE = { perSecond: 50, burst: 200 };

/** Versions counted; the one asked for longest ago goes first, as far as the looks at them tell. */
const MAX_COUNTED = 1_024;

export interface DemandWatchInit extends DemandMeterInit {
  readonly network: string;
  readonly privateKey: PrivateKey;
  /** A node counts what reached it, a client what reached no node. */
  readonly role: DemandDigest['role'];
  /** The nodes known, and what they hold: their words come before those of others. */
  readonly holders: KnownHolders & Pick<SwarmView, 'node'>;
}

interface Counted {
  readonly meter: DemandMeter;
  /** What was last told, and when; undefined before the first time. */
  told: { readonly demand: VersionDemand; readonly atMs: number } | undefined;
}

/**
 * Counts what this peer is asked for, tells the peers that use the same versions, and hears what they are asked for.
 *
 * A crowd is told within a third of a panic window, what stays as it was some six times in a stable window, and less often the
 * more peers tell of it. A peer that joined no topic counts for itself alone.
 */
export class DemandWatch {
  readonly #init: DemandWatchInit;
  readonly #id: NodeId;
  readonly #topics: GossipTopics;
  readonly #rates = Array.from({ length: DEMAND_TOPIC_COUNT }, () => ({
    nodes: new TokenBucket(TOPIC_RATE.perSecond, TOPIC_RATE.burst),
    others: new TokenBucket(TOPIC_RATE.perSecond, TOPIC_RATE.burst),
  }));
  readonly #ledger: DemandLedger;
  readonly #counted = new BoundedMap<VersionCid, Counted>(MAX_COUNTED);
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #ticking: Promise<void> = Promise.resolve();

  constructor(libp2p: SwarmLibp2p, init: DemandWatchInit) {
    this.#init = init;
    this.#id = peerIdText(init.privateKey) as NodeId;
    this.#ledger = new DemandLedger(init.holders);
    this.#topics = new GossipTopics(libp2p, {
      count: DEMAND_TOPIC_COUNT,
      topicOf: (bucket) => demandTopic(init.network, bucket),
      receive: (bucket, bytes) => this.#receive(bucket, bytes),
    });
    this.#timer = setInterval(() => {
      this.#ticking = this.#ticking.then(() => this.#tick());
    }, digestLookMs(init));
    this.#timer.unref();
  }

  /** Hears, relays and sends what is said of a version. */
  join(cid: VersionCid, nowMs?: number): void {
    this.#topics.join(demandBucket(cid), nowMs);
  }

  joinAll(nowMs?: number): void {
    this.#topics.joinAll(nowMs);
  }

  /** As {@link GossipTopics.leaveUnused}. */
  leaveUnused(sinceMs: number): void {
    this.#topics.leaveUnused(sinceMs);
  }

  /**
   * What one version is asked for here, to be told of each request once: `arrived` and then `left`, or `refused`, or `missed`.
   * Its clock is `performance.now()`.
   */
  meter(cid: VersionCid): DemandMeter {
    return this.#of(cid).meter;
  }

  /** What is known of a version's demand: of this peer what it counted until now, of others what they last said. */
  reports(cid: VersionCid): DemandReport[] {
    const nowMs = Date.now();
    const others = this.#ledger.reports(cid, nowMs).filter(({ reporter }) => reporter !== this.#id);
    const own = this.#counted.get(cid);
    if (own === undefined) return others;
    const { role } = this.#init;
    const demand = { cid, ...own.meter.read(performance.now()) };
    return [
      { ...demand, role, reporter: this.#id, ageMs: 0, intervalMs: this.#intervalMs(cid) },
      ...others,
    ];
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#ticking;
  }

  /** Checks before relaying: what is forged costs its sender's score, what is old goes no further. */
  async #receive(bucket: number, bytes: Uint8Array): Promise<TopicValidatorResult> {
    try {
      if (!this.#isInTurn(bucket, bytes)) return TopicValidatorResult.Ignore;
      const digest = await openDemand(bytes);
      if (digest.versions.some(({ cid }) => demandBucket(cid) !== bucket)) {
        return TopicValidatorResult.Reject;
      }
      return this.#ledger.add(digest, Date.now())
        ? TopicValidatorResult.Accept
        : TopicValidatorResult.Ignore;
    } catch (error) {
      return isSwarmError(error) ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
    }
  }

  /** Keys to sign with cost nothing: whoever makes some up takes no turn from a node that is known. */
  #isInTurn(bucket: number, bytes: Uint8Array): boolean {
    const isKnown = this.#init.holders.node(claimedReporter(bytes), Date.now()) !== undefined;
    const rate = this.#rates[bucket]?.[isKnown ? 'nodes' : 'others'];
    return rate?.takeWhole(1, performance.now()) ?? false;
  }

  #of(cid: VersionCid): Counted {
    const known = this.#counted.get(cid);
    if (known !== undefined) return known;
    const counted = { meter: new DemandMeter(this.#init), told: undefined };
    this.#counted.set(cid, counted);
    return counted;
  }

  async #tick(): Promise<void> {
    const nowMs = Date.now();
    const due: VersionDemand[] = [];
    for (const [cid, counted] of [...this.#counted]) {
      const demand = { cid, ...counted.meter.read(performance.now()) };
      if (isIdle(demand)) this.#counted.delete(cid);
      // Setting it again moves it to the end. Here, for a request has no time to spare for it.
      else if (totalPerS(demand.panic) > 0) this.#counted.set(cid, counted);
      if (!isDigestDue(counted.told, demand, { ...this.#paceOf(cid), nowMs })) continue;
      counted.told = { demand, atMs: nowMs };
      due.push(demand);
    }
    for (const [bucket, versions] of Map.groupBy(due, ({ cid }) => demandBucket(cid))) {
      try {
        await this.#tell(bucket, versions);
      } catch {
        // Gossip that is stopping, or full: what was counted is told with the next digest.
      }
    }
  }

  /** Milliseconds between two digests that say the same. */
  #intervalMs(cid: VersionCid): number {
    return digestIntervalMs(this.#paceOf(cid));
  }

  /** A holder counts holders alone: others can be made up to hold it up. */
  #paceOf(cid: VersionCid): DigestPace {
    const nowMs = Date.now();
    const others = this.#init.holders.isHolder(this.#id, cid, nowMs)
      ? this.#ledger.holderCount(cid, nowMs)
      : this.#ledger.reporterCount(cid, nowMs);
    return { stableWindowMs: this.#init.stableWindowMs, reporters: others + 1 };
  }

  async #tell(bucket: number, versions: readonly VersionDemand[]): Promise<void> {
    if (!this.#topics.has(bucket)) return;
    const { role, stableWindowMs, panicWindowMs, privateKey } = this.#init;
    for (let start = 0; start < versions.length; start += MAX_DEMAND_VERSIONS) {
      const told = versions.slice(start, start + MAX_DEMAND_VERSIONS);
      this.#sequence = Math.max(this.#sequence + 1, Date.now());
      const intervalMs = Math.max(...told.map(({ cid }) => this.#intervalMs(cid)));
      const digest = { role, stableWindowMs, panicWindowMs, intervalMs, versions: told };
      const bytes = await signDemand({ ...digest, sequence: this.#sequence }, privateKey);
      await this.#topics.publish(bucket, bytes);
    }
  }
}
