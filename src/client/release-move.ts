import { setTimeout as delay } from 'node:timers/promises';
import type { PrivateKey } from '@libp2p/interface';
import { InvalidRecordError, NotFoundError } from '../../protocols/errors.ts';
import {
  openDelegation,
  type ReleaseMove,
  type ReleaseRecord,
  signRelease,
} from '../../protocols/release/index.ts';
import type { RoutingQuery } from '../../protocols/routing/index.ts';
import type { AbortOptions, NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import type { SignedRelease } from '../swarm/releases.ts';
import type { ReplicaView } from '../swarm/view.ts';

/** How long a holder that is READY is looked for: those around answer in milliseconds, and some have just been heard of. */
const READY_WAIT_MS = 3_000;

const READY_INTERVAL_MS = 200;

/** Peers asked who serves a version. */
const READY_PEERS = 8;

/** Who signs: the publisher, or a delegate with its certificate. */
export interface ReleaseSigner {
  readonly key: PrivateKey;
  /** A signed delegation to the key. @default the key is the publisher's */
  readonly certificate?: Uint8Array | undefined;
}

/** A publisher's own memory of what it signed for one model, and its turn to sign: no two processes have it at once. */
export interface ReleaseTurn extends AsyncDisposable {
  /** The record that was kept last. */
  readonly previous: Uint8Array | undefined;
  /** Called before anybody else sees the record; must not resolve before it is on the disk. */
  keep(record: Uint8Array): Promise<void>;
}

/** A channel whose version no node is known to serve, or to have for the moment it is asked for. */
export interface UnreadyTarget {
  readonly channel: string;
  readonly cid: VersionCid;
}

export interface MoveReleaseOptions extends AbortOptions {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly signer: ReleaseSigner;
  /** The next record, of the newest there is; pure. */
  readonly edit: (newest: ReleaseRecord | undefined) => ReleaseRecord;
  /** Waits for this process's turn. @default nothing is kept: the DHT alone knows the last sequence */
  readonly openTurn?: ((signal: AbortSignal) => Promise<ReleaseTurn>) | undefined;
  /** Hears of each moved channel that nobody serves, before anything is signed; throws to refuse. @default not looked for */
  readonly onUnready?: ((target: UnreadyTarget) => void) | undefined;
}

export interface MovedRelease extends SignedRelease {
  /** The record before. */
  readonly previous: ReleaseRecord | undefined;
}

/**
 * Moves a model's channels: finds the newest record, edits it, signs, keeps and puts it.
 *
 * It is kept first: were the power lost in between, the sequence would be given twice.
 *
 * @throws what `edit` and `onUnready` throw; then nothing was signed.
 * @throws {ERR_INVALID_RECORD} when the signer may not, or another record of the same sequence won.
 * @throws {ERR_CONNECTION} when no peer took the record: it is kept, and goes along with the next move.
 */
export async function moveRelease(
  peer: SwarmPeer,
  options: MoveReleaseOptions,
): Promise<MovedRelease> {
  const { publisher, name, signer, edit, openTurn, onUnready } = options;
  const signal = options.signal ?? AbortSignal.timeout(60_000);
  await using turn = await openTurn?.(signal);
  if (turn?.previous !== undefined) await peer.releases.offer(turn.previous);
  const previous = await findNewest(peer, publisher, name, signal);
  const next = await certified(edit(previous), signer);
  if (onUnready !== undefined) {
    for (const target of await findUnready(peer, previous, next, signal)) onUnready(target);
  }
  const bytes = await signRelease(next, signer.key);
  await turn?.keep(bytes);
  await peer.releases.publish(bytes, { signal }).catch(async (error: unknown) => {
    // DHT servers refuse a record that has lost: whoever signed it is told so, not that nobody took it.
    await checkStands(peer, bytes, next, signal);
    throw error;
  });
  await checkStands(peer, bytes, next, signal);
  return { bytes, record: next, previous };
}

/** The nodes around that serve a version, asked of the peers around; empty when none was heard of in time. */
export async function findReady(
  peer: SwarmPeer,
  model: Pick<ReleaseRecord, 'publisher' | 'name'>,
  cid: VersionCid,
  signal: AbortSignal,
): Promise<readonly NodeId[]> {
  const ready = (): ReplicaView[] => peer.view.ready(cid, Date.now());
  const found = await lookFor(peer, queryOf(model, cid), ready, signal);
  return found.map(({ node }) => node.announcement.node);
}

/** Asks around until somebody is found, or for as long as it makes sense. */
async function lookFor(
  peer: SwarmPeer,
  query: RoutingQuery,
  find: () => readonly ReplicaView[],
  signal: AbortSignal,
): Promise<readonly ReplicaView[]> {
  const untilMs = Date.now() + READY_WAIT_MS;
  for (;;) {
    await peer.survey(query, { signal, atMost: READY_PEERS });
    const found = find();
    if (found.length > 0 || Date.now() >= untilMs) return found;
    await delay(READY_INTERVAL_MS, undefined, { signal });
  }
}

function queryOf(
  { publisher, name }: Pick<ReleaseRecord, 'publisher' | 'name'>,
  selector: VersionCid,
): RoutingQuery {
  return { kind: 'model', publisher, name, selector };
}

/** The newest of what the DHT has and memory holds. */
async function findNewest(
  peer: SwarmPeer,
  publisher: PublisherId,
  name: string,
  signal: AbortSignal,
): Promise<ReleaseRecord | undefined> {
  try {
    return (await peer.releases.find(publisher, name, { signal, fresh: true })).record;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** A delegate's record carries its certificate, and is good for no longer. */
async function certified(
  record: ReleaseRecord,
  { certificate }: ReleaseSigner,
): Promise<ReleaseRecord> {
  if (certificate === undefined) return record;
  const { expiresAtMs, delegate } = await openDelegation(certificate);
  if (expiresAtMs <= record.issuedAtMs) {
    throw new InvalidRecordError(
      `certificate of ${delegate} for ${record.publisher}/${record.name} expired at ${new Date(expiresAtMs).toISOString()}`,
    );
  }
  return { ...record, certificate, expiresAtMs: Math.min(record.expiresAtMs, expiresAtMs) };
}

async function findUnready(
  peer: SwarmPeer,
  previous: ReleaseRecord | undefined,
  next: ReleaseRecord,
  signal: AbortSignal,
): Promise<UnreadyTarget[]> {
  const unready: UnreadyTarget[] = [];
  for (const [channel, { cid }] of Object.entries(next.channels)) {
    if (previous?.channels[channel]?.cid === cid) continue;
    // Who has retired it loads it as soon as it hears of the move.
    const serving = (): ReplicaView[] =>
      [peer.view.ready(cid, Date.now()), peer.view.cold(cid, Date.now())].flat();
    const found = await lookFor(peer, queryOf(next, cid), serving, signal);
    if (found.length === 0) unready.push({ channel, cid });
  }
  return unready;
}

/** Of two records that were signed at once only one stands, and whoever lost must hear of it. One that was moved on from stands. */
async function checkStands(
  peer: SwarmPeer,
  bytes: Uint8Array,
  { publisher, name, sequence, history }: ReleaseRecord,
  signal: AbortSignal,
): Promise<void> {
  const newest = await peer.releases.find(publisher, name, { signal, fresh: true });
  if (Buffer.compare(newest.bytes, bytes) === 0) return;
  const moves = history.filter((move) => move.sequence === sequence);
  const later = newest.record.history;
  const builtOn = moves.every((move) =>
    later.some((other) => other.sequence === sequence && isSameMove(move, other)),
  );
  if (newest.record.sequence > sequence && moves.length > 0 && builtOn) return;
  throw new InvalidRecordError(
    `another record of ${publisher}/${name} won over this one of sequence ${sequence}: it has sequence ${newest.record.sequence}. See what it says, then move again`,
    { details: { sequence, won: newest.record.sequence } },
  );
}

function isSameMove(a: ReleaseMove, b: ReleaseMove): boolean {
  return a.channel === b.channel && a.cid === b.cid && a.atMs === b.atMs;
}
