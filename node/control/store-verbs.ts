import type { StoreUpkeep } from '../store/store-upkeep.ts';
import type { RepairVersion } from '../replica/version-repair.ts';
import { parseVersion } from './control-argument.ts';
import type { ControlVerbs } from './control-verb.ts';

/**
 * What an owner does with a store by hand, the same whether the node runs or not.
 *
 * @param repair Makes what `store.verify` finds damaged whole again. Absent when the node does not run.
 */
export function storeVerbs(upkeep: StoreUpkeep, repair?: RepairVersion): ControlVerbs {
  return {
    async *'store.ls'() {
      yield* await upkeep.list();
    },
    async *'store.verify'(_, signal) {
      for await (const verified of upkeep.verify({ signal })) {
        yield verified;
        const { cid, faults } = verified;
        if (faults.length > 0 && repair !== undefined) yield await repair(cid, signal);
      }
    },
    'store.gc': (_, signal) => upkeep.collect({ signal }),
    async *'store.pin'(argument) {
      const cid = parseVersion(argument);
      await upkeep.pin(cid);
      yield { cid };
    },
    async *'store.unpin'(argument) {
      const cid = parseVersion(argument);
      await upkeep.unpin(cid);
      yield { cid };
    },
  };
}
