import type { AnnouncedDevice, AnnouncedVersion } from '../../protocols/capacity/index.ts';
import type { Replica } from '../replica/replica.ts';
import type { PlannedVersion } from '../scaler/scaler.ts';
import type { ControlVerbs } from './control-verb.ts';

/** How a node stands, as `swarm node status` shows it. */
export interface NodeStatus {
  readonly node: string;
  /** Why it takes nothing new; null when it serves. */
  readonly paused: string | null;
  readonly devices: readonly AnnouncedDevice[];
  /** That models may compute on together, and those that runs have now. */
  readonly cores: { readonly total: number; readonly busy: number };
  readonly memory: readonly MemoryStatus[];
  readonly versions: readonly VersionStatus[];
  /** How the versions stand in the swarm, as far as this node knows; empty where it follows no demand. */
  readonly plan: readonly PlannedVersion[];
}

/** A pool of memory and what models have of it. */
export interface MemoryStatus {
  /** `host`, `gpu0`, `gpu1`, … */
  readonly pool: string;
  /** Bytes that models may take together; null when unknown. */
  readonly totalBytes: number | null;
  readonly usedBytes: number;
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
  readonly facts: () => Omit<NodeStatus, 'paused' | 'versions'>;
  readonly replicas: () => readonly Replica[];
}

/** What an owner asks of his running node itself. */
export function nodeVerbs({ pause, facts, replicas }: NodeVerbsComponents): ControlVerbs {
  const status = (): NodeStatus => ({
    ...facts(),
    paused: pause.reason ?? null,
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
