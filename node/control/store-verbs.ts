import { InvalidInputError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';
import { parseVersionCid } from '../../protocols/reference.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { RepairVersion } from '../replica/version-repair.ts';
import type { StoreUpkeep } from '../store/store-upkeep.ts';
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
      const cid = versionOf(argument);
      await upkeep.pin(cid);
      yield { cid };
    },
    async *'store.unpin'(argument) {
      const cid = versionOf(argument);
      await upkeep.unpin(cid);
      yield { cid };
    },
  };
}

function versionOf(argument: string | undefined): VersionCid {
  const cid = parseVersionCid(argument ?? '');
  if (cid !== undefined) return cid;
  throw new InvalidInputError(`version is ${quoted(argument ?? '')}, expected a CID, bafyrei…`);
}
