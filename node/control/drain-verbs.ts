import type { VersionCid } from '../../protocols/types.ts';
import type { HandoverProgress } from '../handover.ts';
import type { ControlVerbs } from './control-verb.ts';

/** How far a node is with leaving, as `swarm node drain` shows it. */
export interface DrainStatus {
  /** Versions that others do not serve enough yet. */
  readonly owed: readonly VersionCid[];
}

export interface DrainVerbsComponents {
  readonly handOver: () => AsyncIterable<HandoverProgress>;
  /** Called when all is handed over that will be: the node ends what runs, and stops. */
  readonly drained: () => void;
}

/** What takes a node out of the swarm without anybody missing it. */
export function drainVerbs({ handOver, drained }: DrainVerbsComponents): ControlVerbs {
  return {
    async *'node.drain'() {
      for await (const { owed } of handOver()) {
        yield { owed: owed.map(({ cid }) => cid) } satisfies DrainStatus;
      }
      drained();
    },
  };
}
