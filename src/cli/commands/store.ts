import path from 'node:path';
import type {
  CollectedVersion,
  RepairOutcome,
  StoreEntry,
  VerifiedVersion,
} from '../../../node/index.ts';
import { formatBytes } from '../../../protocols/byte-size.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { dataFolder } from '../data-folder.ts';
import { EXIT } from '../exit-code.ts';
import { counted } from '../figures.ts';
import { printable } from '../printable.ts';
import { askStore } from '../store-access.ts';
import { printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** `swarm store ls`: the versions on the disk of a node. */
export async function runStoreList(context: CommandContext): Promise<number> {
  const { terminal } = context;
  const entries: StoreEntry[] = [];
  for await (const entry of ask<StoreEntry>(context, 'store.ls')) {
    entries.push(entry);
    terminal.event({ event: 'version', ...entry });
  }
  if (entries.length === 0) {
    terminal.note('the store is empty');
    return EXIT.ok;
  }
  printTable(
    terminal,
    ['VERSION', 'MODEL', 'STATE', 'SIZE', 'SHARED', 'USES', 'LAST USED', 'KEPT'],
    entries.map((entry) => [
      entry.cid,
      entry.name === null ? '-' : printable(entry.name, 64),
      entry.state,
      formatBytes(entry.bytes),
      entry.sharedBytes === null ? '-' : formatBytes(entry.sharedBytes),
      String(entry.uses),
      entry.lastUsedMs === null ? 'never' : new Date(entry.lastUsedMs).toISOString().slice(0, 16),
      describeKept(entry),
    ]),
    { right: [3, 4, 5] },
  );
  return EXIT.ok;
}

/** `swarm store verify`: hashes everything; a node that runs repairs what is damaged. Fails when something stays damaged. */
export async function runStoreVerify(context: CommandContext): Promise<number> {
  const { terminal } = context;
  let versions = 0;
  let damaged = 0;
  let repaired = 0;
  let failed = 0;
  let bytes = 0;
  for await (const found of ask<VerifiedVersion | RepairOutcome>(context, 'store.verify')) {
    if ('repair' in found) {
      printRepair(terminal, found);
      if (found.repair === 'done') repaired += 1;
      else failed += 1;
      continue;
    }
    versions += 1;
    bytes += found.bytes;
    if (found.faults.length > 0) damaged += 1;
    printVerified(terminal, found);
  }
  const sum = `${counted(versions, 'version')}, ${formatBytes(bytes)}`;
  if (damaged === 0) {
    terminal.note(`${sum}: nothing is damaged`);
    return EXIT.ok;
  }
  const then =
    repaired + failed === 0 ? 'fetched again when the node starts next' : `${repaired} repaired`;
  terminal.note(`${sum}, ${damaged} damaged: ${then}`);
  return repaired === damaged ? EXIT.ok : EXIT.failed;
}

function printVerified(terminal: Terminal, verified: VerifiedVersion): void {
  terminal.event({ event: 'verified', ...verified });
  const { cid, faults, repaired } = verified;
  if (faults.length === 0) {
    terminal.print(`whole    ${cid}${repaired ? '  (index repaired)' : ''}`);
    return;
  }
  terminal.print(`${terminal.style('bad', 'damaged')}  ${cid}`);
  for (const fault of faults) terminal.print(`  ${printable(fault, 300)}`);
}

function printRepair(terminal: Terminal, outcome: RepairOutcome): void {
  terminal.event({ event: 'repair', ...outcome });
  if (outcome.repair === 'failed') {
    terminal.print(`  ${terminal.style('bad', 'not repaired')}: ${printable(outcome.reason, 300)}`);
    return;
  }
  const { fetchedBytes, reloaded } = outcome;
  terminal.print(
    `  repaired: ${formatBytes(fetchedBytes)} fetched${reloaded ? ', loaded again' : ''}`,
  );
}

/** Why a version stays that nothing here wants. */
const WHY_KEPT = {
  'last copy': 'a release names it, or may, and no other node is known to have it',
  'node stopped': 'who else has it is known only while the node runs: start it and ask again',
} as const;

/** `swarm store gc`: removes what nothing wants and others have too. */
export async function runStoreCollect(context: CommandContext): Promise<number> {
  const { terminal } = context;
  let freed = 0;
  let count = 0;
  let kept = 0;
  for await (const removed of ask<CollectedVersion>(context, 'store.gc')) {
    if ('kept' in removed) {
      kept += 1;
      terminal.event({ event: 'kept', cid: removed.cid, reason: removed.kept });
      terminal.print(`kept    ${removed.cid}: ${WHY_KEPT[removed.kept]}`);
      continue;
    }
    terminal.event({ event: 'removed', ...removed });
    terminal.print(`removed ${removed.cid}  ${formatBytes(removed.freedBytes)}`);
    freed += removed.freedBytes;
    count += 1;
  }
  terminal.note(
    count + kept === 0
      ? 'nothing to remove: every version is to be served, pinned or in use'
      : `${counted(count, 'version')} removed, ${formatBytes(freed)} freed, ${kept} kept`,
  );
  return EXIT.ok;
}

/** `swarm store pin`. */
export function runStorePin(context: CommandContext, options: CommandOptions): Promise<number> {
  return changePin(context, 'pin', String(options['cid']));
}

/** `swarm store unpin`. */
export function runStoreUnpin(context: CommandContext, options: CommandOptions): Promise<number> {
  return changePin(context, 'unpin', String(options['cid']));
}

async function changePin(
  context: CommandContext,
  verb: 'pin' | 'unpin',
  argument: string,
): Promise<number> {
  const { terminal } = context;
  for await (const { cid } of ask<{ cid: string }>(context, `store.${verb}`, argument)) {
    terminal.event({ event: `${verb}ned`, cid });
    terminal.print(`${verb}ned ${cid}`);
  }
  return EXIT.ok;
}

/** @typeParam T What the verb yields; the node is this program. */
function ask<T>(
  { settings, cwd, env, signal }: CommandContext,
  verb: string,
  argument?: string,
): AsyncGenerator<T> {
  const dataDir = path.resolve(cwd, dataFolder('node', settings.data, env));
  return askStore(dataDir, { verb, argument }, signal) as AsyncGenerator<T>;
}

function describeKept({ pinned, wanted, inUse }: StoreEntry): string {
  const reasons = [
    ...(pinned ? ['pinned'] : []),
    ...(inUse ? ['in use'] : []),
    ...(wanted ? ['to be served'] : []),
  ];
  return reasons.join(', ') || 'no, gc removes it if others have it';
}
