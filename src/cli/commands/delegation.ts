import { ConfigError, NotFoundError } from '../../../protocols/errors.ts';
import {
  MAX_DELEGATED_MOVES,
  moveChannels,
  type ReleaseRecord,
  signDelegation,
} from '../../../protocols/release/index.ts';
import { moveRelease } from '../../client/release-move.ts';
import { withDeadline } from '../call-deadline.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { parseInteger } from '../config.ts';
import { formatDelegation, readDelegation } from '../delegation-file.ts';
import { EXIT } from '../exit-code.ts';
import { resolvePublisher } from '../publisher-names.ts';
import { parseDuration } from '../quantity.ts';
import { validityMs } from '../release-report.ts';
import { type ModelSigner, openModelSigner } from '../release-signer.ts';
import { joinSwarm } from '../swarm-join.ts';
import { putOut } from './key-transfer.ts';

const DEFAULT_EXPIRES = '90d';
const DEFAULT_MOVES = '1000';

/** Shortest and longest life of a certificate. */
const EXPIRES_RANGE = [3_600_000, 3650 * 86_400_000] as const;

/** `swarm keys delegate`: a certificate that lets a second key move the channels of a model. */
export async function runKeysDelegate(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal } = context;
  const { name, publisher, signer, openTurn } = await openOwnSigner(context, options);
  const delegate = await resolvePublisher(context, String(options['to']));
  const expires = String(options['expires'] ?? DEFAULT_EXPIRES);
  const expiresAtMs = Date.now() + parseDuration(expires, '--expires', EXPIRES_RANGE);
  const moves = parseInteger(String(options['moves'] ?? DEFAULT_MOVES), '--moves', [
    1,
    MAX_DELEGATED_MOVES,
  ]);
  const sequence = await withDeadline(context, 'the delegation', async (signal) => {
    await using swarm = await joinSwarm(context);
    const { releases } = swarm.peer;
    // The turn, so that the sequence it counts from is not that of a move that is just being made.
    await using turn = await openTurn('swarm keys delegate', signal);
    if (turn.previous !== undefined) await releases.offer(turn.previous);
    return (await releases.find(publisher, name, { signal, fresh: true })).record.sequence;
  });
  const untilSequence = sequence + moves;
  const certificate = await signDelegation(
    { name, delegate, untilSequence, expiresAtMs },
    signer.key,
  );
  const file = await putOut(context, options['out'], formatDelegation(certificate));
  const expiresAt = new Date(expiresAtMs).toISOString();
  const facts = { publisher, name, delegate, untilSequence, expiresAt };
  if (file !== undefined) terminal.event({ event: 'delegated', ...facts, file });
  terminal.note(
    `${delegate} may move ${publisher}/${name} up to sequence ${untilSequence} until ${expiresAt}: --key <its key> --delegation <this file>`,
  );
  return EXIT.ok;
}

/** `swarm keys revoke`: a record whose sequence no delegate can reach. */
export async function runKeysRevoke(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal, settings } = context;
  const model = await openOwnSigner(context, options);
  const { publisher, name } = model;
  const past = await lastDelegated(context, options, model);
  const { record } = await withDeadline(context, 'the revocation', async (signal) => {
    await using swarm = await joinSwarm(context);
    return await moveRelease(swarm.peer, {
      ...model,
      edit: (newest) => {
        if (newest === undefined) {
          throw new NotFoundError(`model ${publisher}/${name} has no release record to move`);
        }
        const sequence = Math.max(past ?? 0, lastOf(newest, past)) + 1;
        const next = { publisher, name, nowMs: Date.now(), validityMs: validityMs(settings) };
        return moveChannels(newest, { ...next, sequence }, []);
      },
      openTurn: (turnSignal) => model.openTurn('swarm keys revoke', turnSignal),
      signal,
    });
  });
  terminal.event({ event: 'revoked', publisher, name, sequence: record.sequence });
  terminal.print(
    `certificates for ${publisher}/${name} up to sequence ${record.sequence - 1} are void wherever this record is known`,
  );
  terminal.note('Delegate anew to those who are to go on: `swarm keys delegate`.');
  return EXIT.ok;
}

/** Without a certificate to go by, no certificate of this program can reach further than this. */
function lastOf({ sequence }: ReleaseRecord, past: number | undefined): number {
  return past === undefined ? sequence + MAX_DELEGATED_MOVES : sequence;
}

async function lastDelegated(
  context: CommandContext,
  options: CommandOptions,
  { publisher, name }: ModelSigner,
): Promise<number | undefined> {
  if (options['certificate'] === undefined) return undefined;
  const file = String(options['certificate']);
  const { delegation } = await readDelegation(context, file);
  if (delegation.publisher === publisher && delegation.name === name) {
    return delegation.untilSequence;
  }
  throw new ConfigError(
    `--certificate ${file} is of ${delegation.publisher}/${delegation.name}, expected ${publisher}/${name}`,
  );
}

/** A delegate cannot delegate: the publisher's own key signs, whatever --delegation the environment says. */
async function openOwnSigner(
  context: CommandContext,
  options: CommandOptions,
): Promise<ModelSigner> {
  const settings = { ...context.settings, delegation: undefined };
  return openModelSigner({ ...context, settings }, String(options['name']));
}
