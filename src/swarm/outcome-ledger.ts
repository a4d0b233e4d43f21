import { BoundedMap } from '../../protocols/bounded-map.ts';
import {
  answeredCount,
  failedCount,
  type OutcomeDigest,
  type VersionOutcome,
} from '../../protocols/outcome/index.ts';
import { type ReleaseRecord, resolveGuard } from '../../protocols/release/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { previousVersion } from '../policy/canary.ts';
import { type GuardReport, type GuardVerdict, judgeRelease } from '../policy/release-guard.ts';

/** Models whose evidence is kept; the one used longest ago goes first. */
const MAX_MODELS = 256;

/** Reporters heard of one model; the one silent for longest goes first. */
const MAX_REPORTERS = 512;

/** Digests handed on with a routing snapshot. */
export const MAX_EVIDENCE_DIGESTS = 64;

/** A guard is judged again at most so often, in milliseconds: requests ask for it far more often than evidence comes. */
const JUDGE_INTERVAL_MS = 200;

interface Heard {
  readonly digest: OutcomeDigest;
  readonly bytes: Uint8Array;
  readonly heardAtMs: number;
}

/** A guard that has tripped stays so until a record with a higher sequence, whatever is counted once the version is left. */
export interface Trip {
  readonly verdict: GuardVerdict;
  /** Milliseconds since 1970 when this peer found it so. */
  readonly atMs: number;
}

interface Evidence {
  /** The record that all of it is about. */
  record: GuardedRelease;
  readonly heard: Map<NodeId, Heard>;
  readonly trips: Map<string, Trip>;
  /** The digests that a guard tripped on, for those who come later and can hear no fresh ones. */
  proof: readonly Uint8Array[];
  judgedAtMs: number;
  changed: boolean;
}

/** The records that evidence is weighed by. */
type GuardedRelease = Pick<ReleaseRecord, 'publisher' | 'name' | 'sequence' | 'channels'>;

/** What peers say of guarded releases, one digest each, and which guards have tripped on it. */
export class OutcomeLedger {
  readonly #models = new BoundedMap<string, Evidence>(MAX_MODELS);

  /** Takes in a checked digest; false when it is not of the record in force, or older than what its reporter said before. */
  add(digest: OutcomeDigest, bytes: Uint8Array, record: GuardedRelease, nowMs: number): boolean {
    if (digest.release !== record.sequence) return false;
    const evidence = this.#evidence(record);
    const before = evidence.heard.get(digest.reporter);
    if (before !== undefined && digest.sequence <= before.digest.sequence) return false;
    // Deleting first keeps the map in the order of who was heard last.
    evidence.heard.delete(digest.reporter);
    evidence.heard.set(digest.reporter, { digest, bytes, heardAtMs: nowMs });
    const [silent] = evidence.heard.keys();
    if (evidence.heard.size > MAX_REPORTERS && silent !== undefined) evidence.heard.delete(silent);
    evidence.changed = true;
    return true;
  }

  /** Judges what has come, for all models: a guard must trip where nobody asks for it too, or the proof would be forgotten. */
  judge(nowMs: number): void {
    for (const evidence of this.#models.values()) judge(evidence, nowMs);
  }

  /** The channel's trip under this record; undefined while its guard holds. */
  tripOf(record: GuardedRelease, channel: string, nowMs: number): Trip | undefined {
    const evidence = this.#known(record);
    if (evidence === undefined) return undefined;
    if (nowMs - evidence.judgedAtMs >= JUDGE_INTERVAL_MS) judge(evidence, nowMs);
    return evidence.trips.get(channel);
  }

  /** What a channel's guard rests on now; of a tripped one, what it tripped on. */
  verdictOf(record: GuardedRelease, channel: string, nowMs: number): GuardVerdict | undefined {
    const guard = record.channels[channel]?.guard;
    if (guard === undefined) return undefined;
    const trip = this.tripOf(record, channel, nowMs);
    if (trip !== undefined) return trip.verdict;
    return judgeRelease(reportsOf(this.#evidence(record), channel, nowMs), resolveGuard(guard));
  }

  /** Reporters heard of a model under this record. */
  reporterCount(record: GuardedRelease): number {
    return this.#known(record)?.heard.size ?? 0;
  }

  /** The digests that tell most of a model: those a guard tripped on, else the newest of each reporter. */
  digests(record: GuardedRelease, nowMs: number): readonly Uint8Array[] {
    const evidence = this.#known(record);
    if (evidence === undefined) return [];
    if (evidence.proof.length > 0) return evidence.proof;
    return strongest([...evidence.heard.values()].filter(isWithin(windowOf(record), nowMs)));
  }

  /** What was said under this very record: of two signed with one sequence, the other may name other versions. */
  #known(record: GuardedRelease): Evidence | undefined {
    const evidence = this.#models.get(keyOf(record));
    if (evidence === undefined || evidence.record === record) return evidence;
    const isSame =
      evidence.record.sequence === record.sequence &&
      JSON.stringify(evidence.record.channels) === JSON.stringify(record.channels);
    if (!isSame) return undefined;
    // Decoded once more, it is another object: from now on the cheap comparison holds again.
    evidence.record = record;
    return evidence;
  }

  #evidence(record: GuardedRelease): Evidence {
    const key = keyOf(record);
    const evidence = this.#known(record) ?? {
      record,
      heard: new Map<NodeId, Heard>(),
      trips: new Map<string, Trip>(),
      proof: [],
      judgedAtMs: 0,
      changed: false,
    };
    this.#models.set(key, evidence);
    return evidence;
  }
}

function judge(evidence: Evidence, nowMs: number): void {
  if (!evidence.changed) return;
  const { channels } = evidence.record;
  evidence.judgedAtMs = nowMs;
  evidence.changed = false;
  for (const [channel, { guard }] of Object.entries(channels)) {
    if (guard === undefined || evidence.trips.has(channel)) continue;
    if (previousVersion(channels, channel) === undefined) continue;
    const verdict = judgeRelease(reportsOf(evidence, channel, nowMs), resolveGuard(guard));
    if (!verdict.tripped) continue;
    evidence.trips.set(channel, { verdict, atMs: nowMs });
    evidence.proof = strongest([...evidence.heard.values()]);
  }
}

/** Milliseconds of the longest window among a record's guards; 0 without any. */
export function windowOf({ channels }: Pick<ReleaseRecord, 'channels'>): number {
  const windows = Object.values(channels).map(({ guard }) =>
    guard === undefined ? 0 : resolveGuard(guard).windowMs,
  );
  return Math.max(0, ...windows);
}

function reportsOf(
  { heard, record: { channels } }: Evidence,
  channel: string,
  nowMs: number,
): GuardReport[] {
  const target = channels[channel];
  if (target?.guard === undefined) return [];
  const previous = previousVersion(channels, channel);
  return [...heard.values()]
    .filter(isWithin(resolveGuard(target.guard).windowMs, nowMs))
    .map(({ digest }) => ({
      reporter: digest.reporter,
      version: outcomeOf(digest, target.cid),
      previous: outcomeOf(digest, previous),
    }));
}

function isWithin(windowMs: number, nowMs: number): (heard: Heard) => boolean {
  return ({ heardAtMs }) => nowMs - heardAtMs < windowMs;
}

function outcomeOf(digest: OutcomeDigest, cid: VersionCid | undefined): VersionOutcome | undefined {
  return digest.versions.find((version) => version.cid === cid);
}

/** The digests with the most requests: those that a guard is most likely to trip on. */
function strongest(heard: readonly Heard[]): readonly Uint8Array[] {
  const size = ({ digest }: Heard): number =>
    digest.versions.reduce(
      (sum, version) => sum + answeredCount(version) + failedCount(version),
      0,
    );
  return [...heard]
    .sort((a, b) => size(b) - size(a))
    .slice(0, MAX_EVIDENCE_DIGESTS)
    .map(({ bytes }) => bytes);
}

function keyOf({ publisher, name }: Pick<ReleaseRecord, 'publisher' | 'name'>): string {
  return `${publisher}/${name}`;
}
