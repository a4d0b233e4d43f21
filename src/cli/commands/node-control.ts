import type { NodeStatus } from '../../../node/index.ts';
import { formatBytes } from '../../../protocols/byte-size.ts';
import { NotFoundError } from '../../../protocols/errors.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT } from '../exit-code.ts';
import { printable } from '../printable.ts';
import { runningNode } from '../running-node.ts';
import { printPairs, printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** `swarm node status`: what a running node of this machine has in memory, and whether it is paused. */
export async function runNodeStatus(context: CommandContext): Promise<number> {
  return tell(context, await ask(context, 'node.status'));
}

/** `swarm node pause`: takes nothing new until it is resumed, also after a restart, and gives its models' memory back. */
export async function runNodePause(context: CommandContext): Promise<number> {
  return tell(context, await ask(context, 'node.pause'));
}

/** `swarm node resume`: takes the pause back. */
export async function runNodeResume(context: CommandContext): Promise<number> {
  return tell(context, await ask(context, 'node.resume'));
}

async function ask(context: CommandContext, verb: string): Promise<NodeStatus> {
  const node = await runningNode(context);
  let status: NodeStatus | undefined;
  // The other end is this program.
  for await (const item of node.ask({ verb }, context.signal)) status = item as NodeStatus;
  if (status === undefined) throw new NotFoundError('the node says nothing of itself');
  return status;
}

function describeState({ paused, leaving, cordoned }: NodeStatus): string {
  if (leaving) return 'leaving: it serves on until others serve what it serves';
  if (paused !== null) return `paused: ${printable(paused, 200)}`;
  return cordoned ? 'serving, and takes no further versions: it is cordoned' : 'serving';
}

function describeCost({ costPerHour, watts }: NodeStatus): (readonly [string, string])[] {
  // A node that has run since before there were costs says nothing of them.
  if (typeof costPerHour !== 'number') return [];
  // Six digits tell any two prices apart that somebody would set.
  const cost = String(Number(costPerHour.toPrecision(6)));
  return [['cost per hour', watts === null ? cost : `${cost}, of ${watts} W`]];
}

function tell({ terminal }: CommandContext, status: NodeStatus): number {
  terminal.event({ event: 'node', ...status });
  printPairs(terminal, [
    ['node', status.node],
    ['state', describeState(status)],
    ...status.pinned.map((cid) => ['pinned', cid] as const),
    ...status.forbidden.map((cid) => ['forbidden', cid] as const),
    ...describeCost(status),
    ['cores', `${status.cores.busy} of ${status.cores.total} busy`],
    ...status.memory.map(
      ({ pool, usedBytes, totalBytes }) =>
        [
          `memory of ${pool}`,
          `${formatBytes(usedBytes)} of ${totalBytes === null ? 'unknown' : formatBytes(totalBytes)}`,
        ] as const,
    ),
  ]);
  if (status.versions.length > 0) printVersions(terminal, status.versions);
  if (status.plan.length > 0) printPlan(terminal, status.plan);
  return EXIT.ok;
}

function printVersions(terminal: Terminal, versions: NodeStatus['versions']): void {
  terminal.print('');
  printTable(
    terminal,
    ['MODEL', 'VERSION', 'STATE', 'ON', 'RESIDENT', 'MAX ROWS', 'IN FLIGHT', 'QUEUED', 'NOTE'],
    versions.map(({ name, cid, state, provider, memoryBytes, maxRows, load, note }) => [
      printable(name, 64),
      cid,
      state,
      provider ?? '-',
      memoryBytes === null ? '-' : formatBytes(memoryBytes),
      String(maxRows ?? '-'),
      String(load.inFlight),
      String(load.queued),
      printable(note ?? '-', 100),
    ]),
    { right: [4, 5, 6, 7] },
  );
}

/** What demand asks for in the whole swarm, as far as this node has heard. */
function printPlan(terminal: Terminal, plan: NodeStatus['plan']): void {
  terminal.print('');
  printTable(
    terminal,
    ['IN THE SWARM', 'WANTED', 'HAVE', 'NOTE'],
    plan.map(({ name, desired, have, panic, unplaceable }) => [
      printable(name, 64),
      String(desired),
      String(have),
      unplaceable === null
        ? panic
          ? 'a crowd'
          : '-'
        : printable(`no place for ${unplaceable.count}: ${unplaceable.reason}`, 120),
    ]),
    { right: [1, 2] },
  );
}
