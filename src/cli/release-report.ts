import {
  openDelegation,
  type ReleaseChannel,
  type ReleaseRecord,
  resolveGuard,
} from '../../protocols/release/index.ts';
import type { NodeId, PublisherId } from '../../protocols/types.ts';
import type { ChannelStatus } from '../client/release-status.ts';
import { formatShare } from './figures.ts';
import { describeGuard } from './guard-options.ts';
import { shortId } from './printable.ts';
import { parseDuration } from './quantity.ts';
import type { Settings } from './settings.ts';
import { printPairs, printTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Shortest and longest life of a release record. */
const VALIDITY_RANGE = [3_600_000, 3650 * 86_400_000] as const;

/** What `--valid-for` says, in milliseconds. @throws {ERR_CONFIG} when it is no duration. */
export function validityMs({ validFor }: Pick<Settings, 'validFor'>): number {
  return parseDuration(validFor, '--valid-for', VALIDITY_RANGE);
}

/** Who signed a record: a delegate, or null for its publisher. */
export async function delegateOf({ certificate }: ReleaseRecord): Promise<PublisherId | null> {
  return certificate === undefined ? null : (await openDelegation(certificate)).delegate;
}

/** How one channel fares now: what a record alone does not say. */
export interface ChannelState {
  /** The nodes that serve its version. */
  readonly ready: readonly NodeId[];
  /** Undefined for a channel that came or went while it was looked at. */
  readonly status: ChannelStatus | undefined;
}

/** By channel. */
export type ChannelStates = ReadonlyMap<string, ChannelState>;

/** A record as events carry it. */
export function releaseFacts(
  record: ReleaseRecord,
  delegate: PublisherId | null,
  states?: ChannelStates,
): Record<string, unknown> {
  const { publisher, name, sequence, channels, issuedAtMs, expiresAtMs } = record;
  return {
    reference: `${publisher}/${name}`,
    publisher,
    name,
    sequence,
    delegate,
    issuedAt: new Date(issuedAtMs).toISOString(),
    expiresAt: new Date(expiresAtMs).toISOString(),
    channels: Object.entries(channels).map(([channel, target]) => ({
      ...channelFacts(channel, target),
      ...stateFacts(states?.get(channel)),
    })),
  };
}

function channelFacts(channel: string, target: ReleaseChannel): Record<string, unknown> {
  const { cid, weight, guard, previous } = target;
  return {
    channel,
    version: cid,
    weight: weight ?? null,
    guard: guard === undefined ? null : resolveGuard(guard),
    previous: previous ?? null,
  };
}

function stateFacts(state: ChannelState | undefined): Record<string, unknown> {
  if (state === undefined) return {};
  const { ready, status } = state;
  const { state: guardState, verdict, why } = status?.guard ?? {};
  return {
    ready,
    inUse: status?.inUse ?? null,
    guardState: guardState ?? null,
    verdict: verdict ?? null,
    why: why ?? null,
  };
}

/** A record for people: whose, until when, and where its channels point. */
export function printRelease(
  terminal: Terminal,
  record: ReleaseRecord,
  delegate: PublisherId | null,
  states?: ChannelStates,
): void {
  const { publisher, name, sequence, channels, issuedAtMs, expiresAtMs } = record;
  terminal.print(terminal.style('strong', `${publisher}/${name}`));
  printPairs(terminal, [
    ['sequence', String(sequence)],
    ['signed', `${timeText(issuedAtMs)} by ${delegate === null ? 'its publisher' : delegate}`],
    ['expires', timeText(expiresAtMs)],
  ]);
  const rows = Object.entries(channels).map(([channel, { cid, weight }]) => [
    channel,
    cid,
    weight === undefined ? '-' : formatShare(weight),
    ...(states === undefined ? [] : [states.get(channel)?.ready.map(shortId).join('\n') || 'none']),
  ]);
  const head = ['CHANNEL', 'VERSION', 'SHARE', ...(states === undefined ? [] : ['READY ON'])];
  if (rows.length === 0) terminal.print('  no channel');
  else printTable(terminal, head, rows, { indent: 2 });
  for (const [channel, { guard, previous }] of Object.entries(channels)) {
    if (guard === undefined) continue;
    const back = previous === undefined ? '' : `, else ${shortId(previous)}`;
    terminal.print(`  guard of ${channel}: ${describeGuard(guard)}${back}`);
    printVerdict(terminal, states?.get(channel)?.status);
  }
}

function printVerdict(terminal: Terminal, status: ChannelStatus | undefined): void {
  if (status?.guard == null) return;
  const { guard, inUse, cid } = status;
  const back = inUse === cid ? '' : `, ${shortId(inUse)} is used until you move the channel`;
  const state = terminal.style(guard.state === 'tripped' ? 'bad' : 'good', guard.state);
  terminal.print(`    ${state}${back}: ${guard.why}`);
}

/** To the second, in UTC: moves of several machines are compared. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
