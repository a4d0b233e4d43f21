import { NotFoundError } from '../../../protocols/errors.ts';
import type { Manifest } from '../../../protocols/manifest/index.ts';
import type { ReleaseRecord } from '../../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../../protocols/types.ts';
import { diffManifests, type ManifestChange } from '../../client/manifest-diff.ts';
import { findReady } from '../../client/release-move.ts';
import { findReleaseStatus } from '../../client/release-status.ts';
import { ManifestReader } from '../../swarm/manifest-reader.ts';
import type { SwarmPeer } from '../../swarm/peer.ts';
import { withDeadline } from '../call-deadline.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { printable } from '../printable.ts';
import { resolveModelRef } from '../publisher-names.ts';
import {
  type ChannelStates,
  delegateOf,
  printRelease,
  releaseFacts,
  timeText,
} from '../release-report.ts';
import { openModelSigner } from '../release-signer.ts';
import { joinSwarm } from '../swarm-join.ts';
import { surveySwarm } from '../swarm-survey.ts';
import { printTable } from '../table.ts';
import { parseCid } from '../version-operand.ts';

interface Model {
  readonly publisher: PublisherId;
  readonly name: string;
}

/** `swarm release status`: where the channels point, and who serves them. */
export async function runReleaseStatus(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal } = context;
  const model = await modelOf(context, options);
  const { record, states } = await withDeadline(context, 'the look-up', async (signal) => {
    await using swarm = await joinSwarm(context);
    const found = await findRelease(swarm.peer, model, signal);
    return { record: found, states: await findStates(swarm.peer, found, signal) };
  });
  const delegate = await delegateOf(record);
  terminal.event({ event: 'release', ...releaseFacts(record, delegate, states) });
  printRelease(terminal, record, delegate, states);
  return EXIT.ok;
}

/** `swarm release history`: the moves that the record remembers, the latest first. */
export async function runReleaseHistory(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal } = context;
  const model = await modelOf(context, options);
  const record = await withDeadline(context, 'the look-up', async (signal) => {
    await using swarm = await joinSwarm(context);
    return await findRelease(swarm.peer, model, signal);
  });
  const { publisher, name, history } = record;
  const moves = history.toReversed();
  for (const { sequence, channel, cid, atMs } of moves) {
    const at = new Date(atMs).toISOString();
    terminal.event({ event: 'move', publisher, name, sequence, at, channel, version: cid });
  }
  printTable(
    terminal,
    ['SEQUENCE', 'WHEN', 'CHANNEL', 'VERSION'],
    moves.map(({ sequence, channel, cid, atMs }) => [
      String(sequence),
      timeText(atMs),
      channel,
      cid ?? 'ended',
    ]),
    { right: [0] },
  );
  return EXIT.ok;
}

/** `swarm release diff`: what differs between two versions, by their manifests. */
export async function runReleaseDiff(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal } = context;
  const from = parseCid(options['from']);
  const to = parseCid(options['to']);
  const [before, after] = await withDeadline(context, 'the comparison', async (signal) => {
    await using swarm = await joinSwarm(context);
    await surveySwarm(swarm.peer, signal);
    return await readManifests(swarm.peer, [from, to], signal);
  });
  const changes = diffManifests(before, after);
  for (const change of changes) terminal.event({ event: 'change', ...change });
  for (const change of changes) terminal.print(describe(change));
  if (changes.length === 0) terminal.note('nothing differs');
  return EXIT.ok;
}

/** A reference, or a bare name for a model of one's own. */
async function modelOf(context: CommandContext, options: CommandOptions): Promise<Model> {
  const text = String(options['model']);
  return text.includes('/') ? resolveModelRef(context, text) : openModelSigner(context, text);
}

async function findRelease(
  peer: SwarmPeer,
  { publisher, name }: Model,
  signal: AbortSignal,
): Promise<ReleaseRecord> {
  return (await peer.releases.find(publisher, name, { signal, fresh: true })).record;
}

async function findStates(
  peer: SwarmPeer,
  record: ReleaseRecord,
  signal: AbortSignal,
): Promise<ChannelStates> {
  const found = await Promise.all(
    Object.entries(record.channels).map(async ([channel, { cid }]) => ({
      channel,
      ready: await findReady(peer, record, cid, signal),
    })),
  );
  // Afterwards: those who serve a version are the ones who know how it fares.
  const { channels } = await findReleaseStatus(peer, record, signal);
  return new Map(
    found.map(({ channel, ready }) => [
      channel,
      { ready, status: channels.find((status) => status.channel === channel) },
    ]),
  );
}

async function readManifests(
  peer: SwarmPeer,
  [from, to]: readonly [VersionCid, VersionCid],
  signal: AbortSignal,
): Promise<readonly [Manifest, Manifest]> {
  const reader = new ManifestReader(peer);
  const read = async (cid: VersionCid): Promise<Manifest> => {
    if (peer.view.holders(cid, Date.now()).length > 0) return reader.read(cid, signal);
    throw new NotFoundError(`version ${cid} is unknown: no node around holds it`);
  };
  try {
    return [await read(from), await read(to)];
  } finally {
    await reader.close();
  }
}

function describe(change: ManifestChange): string {
  const field = printable(change.field, 160);
  switch (change.kind) {
    case 'added':
      return `+ ${field}: ${printable(change.to)}`;
    case 'removed':
      return `- ${field}: ${printable(change.from)}`;
    case 'changed':
      return `~ ${field}: ${printable(change.from)} → ${printable(change.to)}`;
  }
}
