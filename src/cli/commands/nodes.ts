import { formatBytes } from '../../../protocols/byte-size.ts';
import type { AnnouncedDevice } from '../../../protocols/capacity/index.ts';
import type { NodeView, ReplicaView } from '../../swarm/view.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT } from '../exit-code.ts';
import { printable, shortId } from '../printable.ts';
import { joinSwarm } from '../swarm-join.ts';
import { surveySwarm } from '../swarm-survey.ts';
import { printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** Names of models in one row. */
const MAX_SHOWN_VERSIONS = 4;

/** A node and what it holds. */
interface ListedNode {
  readonly node: NodeView;
  readonly replicas: readonly ReplicaView[];
}

/** `swarm nodes ls`: every node known, its devices, its versions and how busy it is. */
export async function runNodesList(context: CommandContext): Promise<number> {
  const { terminal, settings } = context;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(settings.deadlineMs)]);
  await using swarm = await joinSwarm(context);
  const { nodes, replicas } = await surveySwarm(swarm.peer, signal);
  const listed = nodes.map((node) => ({
    node,
    replicas: replicas.filter((r) => r.node.announcement.node === node.announcement.node),
  }));
  const now = Date.now();
  for (const node of listed) terminal.event(nodeEvent(node, now));
  if (listed.length > 0) printNodes(terminal, listed);
  else terminal.note(`no node of network '${settings.network}' is known to the peers around`);
  return EXIT.ok;
}

function nodeEvent({ node: { announcement, heardAtMs }, replicas }: ListedNode, nowMs: number) {
  const { ownerCertificate: _, sequence: __, versions: ___, ...facts } = announcement;
  return {
    event: 'node',
    ...facts,
    heardMsAgo: nowMs - heardAtMs,
    versions: replicas.map(({ version }) => version),
  };
}

function printNodes(terminal: Terminal, listed: readonly ListedNode[]): void {
  printTable(
    terminal,
    ['NODE', 'OWNER', 'ZONE', 'STATE', 'DEVICES', 'MEMORY FREE', 'READY', 'IN FLIGHT', 'QUEUED'],
    listed.map(({ node: { announcement }, replicas }) => {
      const { node, owner, zone, state, devices, memoryFreeBytes, memoryTotalBytes } = announcement;
      const loads = replicas.map(({ version }) => version.load);
      return [
        shortId(node),
        // A node that says nothing of an owner is its own, by the same key.
        String(owner) === String(node) ? 'itself' : shortId(owner),
        printable(zone, 64) || '-',
        state,
        devices.map(describeDevice).join('\n') || '-',
        `${formatBytes(memoryFreeBytes)} of ${formatBytes(memoryTotalBytes)}`,
        describeVersions(replicas),
        String(loads.reduce((sum, { inFlight }) => sum + inFlight, 0)),
        String(loads.reduce((sum, { queued }) => sum + queued, 0)),
      ];
    }),
    { right: [5, 7, 8] },
  );
}

/** The models that are READY, by name; a node with many shows how many more there are. */
function describeVersions(replicas: readonly ReplicaView[]): string {
  const names = replicas
    .filter(({ version }) => version.state === 'ready')
    .map(({ version }) => printable(version.name, 64))
    .sort();
  const more = names.length - MAX_SHOWN_VERSIONS;
  const shown = names.slice(0, MAX_SHOWN_VERSIONS).join(', ') || '-';
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function describeDevice(device: AnnouncedDevice): string {
  const { kind, name, memoryBytes, providers, freeBytes, busyPercent } = device;
  const memory = memoryBytes === null || kind === 'cpu' ? '' : `, ${formatBytes(memoryBytes)}`;
  const free = freeBytes === undefined ? '' : `, ${formatBytes(freeBytes)} free`;
  const busy = busyPercent === undefined ? '' : `, ${busyPercent} % busy`;
  return printable(`${name || kind}${memory}${free}${busy} (${providers.join(', ')})`, 100);
}
