import { NoNodeError } from '../../../protocols/errors.ts';
import { parseName } from '../../../protocols/reference.ts';
import type { NextReleaseOptions, ReleaseRecord } from '../../../protocols/release/index.ts';
import {
  endChannel,
  promoteCanary,
  rollBack,
  setVersion,
  startCanary,
} from '../../client/release-editor.ts';
import { moveRelease, type UnreadyTarget } from '../../client/release-move.ts';
import { withDeadline } from '../call-deadline.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { parseGuardOptions } from '../guard-options.ts';
import { parseShare } from '../quantity.ts';
import { delegateOf, printRelease, releaseFacts, validityMs } from '../release-report.ts';
import { openModelSigner } from '../release-signer.ts';
import { joinSwarm } from '../swarm-join.ts';
import { parseCid } from '../version-operand.ts';

/** Shares that a partial channel can have: above nothing, at most all. */
const WEIGHT_RANGE = [1e-6, 1] as const;

/** What a move is made of besides the record before. */
type Edit = (newest: ReleaseRecord | undefined, next: NextReleaseOptions) => ReleaseRecord;

/** What becomes of a channel whose version nobody is known to serve. */
type WhenUnready = 'refuse' | 'warn' | 'ignore';

/** `swarm release set`: a channel points at a version. */
export async function runReleaseSet(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const channel = parseName(String(options['channel']), 'channel');
  const cid = parseCid(options['cid']);
  const weight = options['weight'] === undefined ? undefined : weightOf(options);
  const guard = parseGuardOptions(options);
  return move(context, options, {
    verb: 'set',
    whenUnready: whenUnready(options),
    edit: (newest, next) => setVersion(newest, { ...next, channel, cid, weight, guard }),
  });
}

/** `swarm release canary`: a share of the requests goes to another version. */
export async function runReleaseCanary(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const cid = parseCid(options['cid']);
  const weight = weightOf(options);
  const guard = parseGuardOptions(options);
  return move(context, options, {
    verb: 'canary',
    whenUnready: whenUnready(options),
    edit: (newest, next) => startCanary(newest, { ...next, cid, weight, guard }),
  });
}

/** `swarm release promote`: the canary's version becomes stable. */
export async function runReleasePromote(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  return move(context, options, {
    verb: 'promote',
    whenUnready: whenUnready(options),
    edit: promoteCanary,
  });
}

/** `swarm release rollback`: stable points at an earlier version, whoever serves it. */
export async function runReleaseRollback(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const to = options['to'] === undefined ? undefined : parseCid(options['to']);
  return move(context, options, {
    verb: 'rollback',
    // What is bad must go in any case; nodes that still have the earlier version on disk can bring it back.
    whenUnready: 'warn',
    edit: (newest, next) => rollBack(newest, { ...next, to }),
  });
}

/** `swarm release rm`: a channel ends. */
export async function runReleaseRemove(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const channel = parseName(String(options['channel']), 'channel');
  return move(context, options, {
    verb: 'rm',
    whenUnready: 'ignore',
    edit: (newest, next) => endChannel(newest, { ...next, channel }),
  });
}

async function move(
  context: CommandContext,
  options: CommandOptions,
  how: { readonly verb: string; readonly whenUnready: WhenUnready; readonly edit: Edit },
): Promise<number> {
  const { terminal, settings } = context;
  const validity = validityMs(settings);
  const model = await openModelSigner(context, String(options['name']));
  const onUnready = (target: UnreadyTarget): void => {
    const message = `no node is known to serve version ${target.cid}, which '${target.channel}' is to point at`;
    if (how.whenUnready === 'refuse') throw new NoNodeError(`${message}: expected --force`);
    terminal.note(`${terminal.style('bad', 'warning:')} ${message}`);
  };
  const { publisher, name, signer } = model;
  const record = await withDeadline(context, `release of '${name}'`, async (signal) => {
    await using swarm = await joinSwarm(context);
    const moved = await moveRelease(swarm.peer, {
      publisher,
      name,
      signer,
      edit: (newest) =>
        how.edit(newest, { publisher, name, nowMs: Date.now(), validityMs: validity }),
      openTurn: (turnSignal) => model.openTurn(`swarm release ${how.verb}`, turnSignal),
      ...(how.whenUnready === 'ignore' ? {} : { onUnready }),
      signal,
    });
    return moved.record;
  });
  const delegate = await delegateOf(record);
  terminal.event({ event: 'released', ...releaseFacts(record, delegate) });
  printRelease(terminal, record, delegate);
  return EXIT.ok;
}

function whenUnready({ force }: CommandOptions): WhenUnready {
  return force === true ? 'warn' : 'refuse';
}

function weightOf(options: CommandOptions): number {
  return parseShare(String(options['weight']), '--weight', WEIGHT_RANGE);
}
