import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PrivateKey } from '@libp2p/interface';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import {
  MAX_OUTCOME_VERSIONS,
  OUTCOME_TOPIC_COUNT,
  type OutcomeDigest,
  openOutcome,
  outcomeBucket,
  outcomeTopic,
  signOutcome,
  type VersionOutcome,
} from '../../protocols/outcome/index.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import { TokenBucket } from '../../protocols/token-bucket.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { previousVersion } from '../policy/canary.ts';
import type { GuardVerdict } from '../policy/release-guard.ts';
import { GossipTopics } from './gossip-topics.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import { OutcomeLedger, type Trip, windowOf } from './outcome-ledger.ts';
import { OutcomeTally, type RequestOutcome } from './outcome-tally.ts';
import type { ReleaseDirectory } from './releases.ts';

/** How often this peer looks whether it has something to tell. */
const TICK_MS = 1_000;

/** Milliseconds between digests per reporter heard, so that a model's digests come at most some five a second in all. */
const INTERVAL_PER_REPORTER_MS = 200;

/** Digests of one topic that are checked a second, and at once: what comes beyond is passed over. */
const TOPIC_RATE = { perSecond: 50, burst: 200 };

/** Versions counted; the one used longest ago goes first. */
const MAX_TALLIES = 128;

/** Whose requests are counted. */
export interface CountedModel {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
}

export interface OutcomeWatchInit {
  readonly network: string;
  readonly privateKey: PrivateKey;
}

interface Counted extends CountedModel {
  readonly tally: OutcomeTally;
  /** Whether requests come from more than one caller. */
  readonly manyCallers: boolean;
}

interface Reporting {
  readonly release: number;
  /** When this peer learnt of the release: what it counted before was of another time. */
  readonly sinceMs: number;
  lastSentMs: number;
  /** What was last sent, so that nothing is said twice. */
  lastSent: string;
}

/**
 * Counts how requests end, tells the peers of a guarded model, hears what they counted, and knows which guards have tripped.
 *
 * Digests are sent only while a record has a guard, and more rarely the more peers report. A peer that joined no topic counts
 * for itself alone.
 */
export class OutcomeWatch {
  readonly #releases: ReleaseDirectory;
  readonly #privateKey: PrivateKey;
  readonly #topics: GossipTopics;
  readonly #rates = Array.from(
    { length: OUTCOME_TOPIC_COUNT },
    () => new TokenBucket(TOPIC_RATE.perSecond, TOPIC_RATE.burst),
  );
  readonly #ledger = new OutcomeLedger();
  readonly #counted = new BoundedMap<VersionCid, Counted>(MAX_TALLIES);
  readonly #reporting = new BoundedMap<string, Reporting>(MAX_TALLIES);
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #ticking: Promise<void> = Promise.resolve();

  constructor(
    libp2p: SwarmLibp2p,
    releases: ReleaseDirectory,
    { network, privateKey }: OutcomeWatchInit,
  ) {
    this.#releases = releases;
    this.#privateKey = privateKey;
    this.#topics = new GossipTopics(libp2p, {
      count: OUTCOME_TOPIC_COUNT,
      topicOf: (bucket) => outcomeTopic(network, bucket),
      receive: (bucket, bytes) => this.#receive(bucket, bytes),
    });
    releases.onChange(({ record }) => this.#released(record));
    this.#timer = setInterval(() => {
      this.#ticking = this.#ticking.then(() => this.#tick());
    }, TICK_MS);
    this.#timer.unref();
  }

  /** Hears, relays and sends the digests of a model. */
  join(publisher: string, name: string, nowMs?: number): void {
    this.#topics.join(outcomeBucket(publisher, name), nowMs);
  }

  joinAll(nowMs?: number): void {
    this.#topics.joinAll(nowMs);
  }

  /** As {@link GossipTopics.leaveUnused}. */
  leaveUnused(sinceMs: number): void {
    this.#topics.leaveUnused(sinceMs);
  }

  /** Counts one request. `caller` is given where requests come from several. */
  count(model: CountedModel, outcome: RequestOutcome, caller?: string): void {
    const known = this.#counted.get(model.cid);
    const counted = known ?? {
      ...model,
      tally: new OutcomeTally(),
      manyCallers: caller !== undefined,
    };
    this.#counted.set(model.cid, counted);
    counted.tally.record(outcome, Date.now(), caller);
  }

  /** The channel's trip under a record; undefined while its guard holds. */
  tripOf(record: ReleaseRecord, channel: string): Trip | undefined {
    return this.#ledger.tripOf(record, channel, Date.now());
  }

  /** What a channel's guard rests on; undefined without a guard. */
  verdictOf(record: ReleaseRecord, channel: string): GuardVerdict | undefined {
    return this.#ledger.verdictOf(record, channel, Date.now());
  }

  /** Signed digests about a record, for a peer that asks. */
  digests(record: ReleaseRecord): readonly Uint8Array[] {
    return this.#ledger.digests(record, Date.now());
  }

  /** Takes in digests that another peer handed on, and judges by them at once; what is not as it claims is passed over. */
  async offer(digests: readonly Uint8Array[]): Promise<void> {
    for (const bytes of digests) {
      try {
        this.#add(await openOutcome(bytes), bytes);
      } catch {
        // Each stands by its own signature: one bad digest says nothing of the others.
      }
    }
    this.#ledger.judge(Date.now());
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#ticking;
  }

  #add(digest: OutcomeDigest, bytes: Uint8Array): boolean {
    const record = this.#releases.cached(digest.publisher, digest.name)?.record;
    if (record === undefined || windowOf(record) === 0) return false;
    return this.#ledger.add(digest, bytes, record, Date.now());
  }

  /** Checks before relaying: what is forged costs its sender's score, what is old or of no use goes no further. */
  async #receive(bucket: number, bytes: Uint8Array): Promise<TopicValidatorResult> {
    if (this.#rates[bucket]?.takeWhole(1, performance.now()) !== true)
      return TopicValidatorResult.Ignore;
    try {
      const digest = await openOutcome(bytes);
      if (outcomeBucket(digest.publisher, digest.name) !== bucket) {
        return TopicValidatorResult.Reject;
      }
      return this.#add(digest, bytes) ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
    } catch (error) {
      return isSwarmError(error) ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
    }
  }

  #released({ publisher, name, sequence, channels }: ReleaseRecord): void {
    const model = `${publisher}/${name}`;
    this.#reporting.delete(model);
    if (windowOf({ channels }) === 0) return;
    const state = { release: sequence, sinceMs: Date.now(), lastSentMs: 0, lastSent: '' };
    this.#reporting.set(model, state);
  }

  async #tick(): Promise<void> {
    const models = new Map(
      [...this.#counted.values()].map(({ publisher, name }) => [
        `${publisher}/${name}`,
        { publisher, name },
      ]),
    );
    for (const [model, { publisher, name }] of models) {
      const state = this.#reporting.get(model);
      const record = this.#releases.cached(publisher, name)?.record;
      if (state === undefined || record?.sequence !== state.release) continue;
      try {
        await this.#report(record, state, Date.now());
      } catch {
        // Gossip that is stopping, or full: what was counted is told with the next digest.
      }
    }
    this.#ledger.judge(Date.now());
  }

  /** Tells what changed since the last digest, into this peer's own ledger first. */
  async #report(record: ReleaseRecord, state: Reporting, nowMs: number): Promise<void> {
    const intervalMs = INTERVAL_PER_REPORTER_MS * this.#ledger.reporterCount(record);
    if (nowMs - state.lastSentMs < Math.max(TICK_MS / 2, intervalMs)) return;
    const windowMs = windowOf(record);
    const versions = this.#outcomes(record, Math.max(state.sinceMs, nowMs - windowMs), windowMs);
    const said = JSON.stringify(versions);
    if (versions.length === 0 || said === state.lastSent) return;
    state.lastSentMs = nowMs;
    state.lastSent = said;
    this.#sequence = Math.max(this.#sequence + 1, nowMs);
    const { publisher, name } = record;
    const bytes = await signOutcome(
      {
        ...{ publisher, name, windowMs, versions },
        release: record.sequence,
        sequence: this.#sequence,
        issuedAtMs: nowMs,
      },
      this.#privateKey,
    );
    await this.offer([bytes]);
    const bucket = outcomeBucket(publisher, name);
    if (this.#topics.has(bucket)) await this.#topics.publish(bucket, bytes);
  }

  /** The guarded versions since the release, and what they are measured against as it last was. */
  #outcomes({ channels }: ReleaseRecord, sinceMs: number, windowMs: number): VersionOutcome[] {
    const guarded = Object.entries(channels).filter(([, { guard }]) => guard !== undefined);
    const judged = new Set(guarded.map(([, { cid }]) => cid));
    const cids = new Set([
      ...judged,
      ...guarded.map(([channel]) => previousVersion(channels, channel)),
    ]);
    const outcomes: VersionOutcome[] = [];
    for (const cid of cids) {
      const counted = cid === undefined ? undefined : this.#counted.get(cid);
      if (cid === undefined || counted === undefined) continue;
      const options = { withoutWorstCaller: counted.manyCallers };
      const counts = judged.has(cid)
        ? counted.tally.since(sinceMs, options)
        : counted.tally.last(windowMs, options);
      outcomes.push({ cid, ...counts });
    }
    return outcomes.slice(0, MAX_OUTCOME_VERSIONS);
  }
}
