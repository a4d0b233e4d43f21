import type { VersionCid } from '../../protocols/types.ts';
import type { Handover } from '../handover.ts';
import type { ControlVerbs } from './control-verb.ts';

/** How far a node is with leaving, as `swarm node drain` shows it. */
export interface DrainStatus {
  /** Versions that others do not serve enough yet. */
  readonly owed: readonly VersionCid[];
}

export interface DrainVerbsComponents {
  readonly handover: Pick<Handover, 'run' | 'watch'>;
  /** Called when all is handed over that will be: the node ends what runs, and stops. */
  readonly drained: () => void;
}

/** What takes a node out of the swarm without anybody missing it. */
export function drainVerbs({ handover, drained }: DrainVerbsComponents): ControlVerbs {
  return {
    async *'node.drain'() {
      const handedOver = handover.run();
      try {
        for await (const { owed } of handover.watch()) {
          yield { owed: owed.map(({ cid }) => cid) } satisfies DrainStatus;
        }
      } finally {
        // Whoever stays hears the end before the node goes; whoever leaves ends nothing, for there is no way back.
        void handedOver.then(drained);
      }
    },
  };
}
