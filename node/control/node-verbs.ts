import type { AnnouncedDevice, AnnouncedVersion } from '../../protocols/capacity/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { Handover } from '../handover.ts';
import type { OperatorOrders } from '../operator-orders.ts';
import type { Replica } from '../replica/replica.ts';
import type { PlannedVersion } from '../scaler/scaler.ts';
import type { ControlVerbs } from './control-verb.ts';
import type { MemoryStatus } from '../replica/memory-ledger.ts';

/** How a node stands, as `swarm node status` shows it. */
export interface NodeStatus {
  readonly node: string;
  /** Why it takes nothing new; null when it serves. */
  readonly paused: string | null;
  /** Whether it takes no further versions. */
  readonly cordoned: boolean;
  /** Whether it hands over what it serves, to end then. */
  readonly leaving: boolean;
  /** Versions that its operator keeps in memory, and those that he does not let in. */
  readonly pinned: readonly VersionCid[];
  readonly forbidden: readonly VersionCid[];
  readonly devices: readonly AnnouncedDevice[];
  /** That models may compute on together, and those that runs have now. */
  readonly cores: { readonly total: number; readonly busy: number };
  readonly memory: readonly MemoryStatus[];
  /** What an hour of it costs as others hear it, and the watts that this is made of; null when nobody said. */
  readonly costPerHour: number | null;
  readonly watts: number | null;
  readonly versions: readonly VersionStatus[];
  /** How the versions stand in the swarm, as far as this node knows; empty where it follows no demand. */
  readonly plan: readonly PlannedVersion[];
}

/** A version of the node, with what only the node itself knows. */
export interface VersionStatus
  extends Pick<AnnouncedVersion, 'cid' | 'name' | 'publisher' | 'state' | 'load'> {
  readonly provider: string | null;
  /** Resident bytes of its process; null when it has none. */
  readonly memoryBytes: number | null;
  /** Rows that run together at most, as they were found at the load; null while it is not loaded. */
  readonly maxRows: number | null;
  readonly etaMs: number | null;
  readonly note: string | null;
}

export interface NodeVerbsComponents {
  readonly pause: {
    readonly reason: string | undefined;
    pause(): Promise<void>;
    resume(): Promise<void>;
  };
  readonly orders: Pick<OperatorOrders, 'cordoned' | 'pinned' | 'forbidden'>;
  readonly handover: Pick<Handover, 'leaving'>;
  readonly facts: () => Pick<
    NodeStatus,
    'node' | 'devices' | 'cores' | 'memory' | 'costPerHour' | 'watts' | 'plan'
  >;
  readonly replicas: () => readonly Replica[];
}

/** What an owner asks of his running node itself. */
export function nodeVerbs({
  pause,
  orders,
  handover,
  facts,
  replicas,
}: NodeVerbsComponents): ControlVerbs {
  const status = (): NodeStatus => ({
    ...facts(),
    paused: pause.reason ?? null,
    cordoned: orders.cordoned,
    leaving: handover.leaving,
    pinned: orders.pinned,
    forbidden: orders.forbidden,
    versions: replicas().map(versionStatus),
  });
  return {
    async *'node.status'() {
      yield status();
    },
    async *'node.pause'() {
      await pause.pause();
      yield status();
    },
    async *'node.resume'() {
      await pause.resume();
      yield status();
    },
  };
}

function versionStatus(replica: Replica): VersionStatus {
  const { cid, name, publisher, state, load } = replica.announced();
  const { model, queue, etaMs, note } = replica;
  return {
    cid,
    name,
    publisher,
    state,
    load,
    provider: model?.provider ?? null,
    memoryBytes: model?.memoryBytes ?? null,
    maxRows: queue?.maxRows ?? null,
    etaMs,
    note,
  };
}
