import { InvalidInputError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';
import { parseVersionCid } from '../../protocols/reference.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { StoreUpkeep } from '../store/store-upkeep.ts';
import type { ControlVerbs } from './control-verb.ts';

/** What an owner does with a store by hand, the same whether the node runs or not. */
export function storeVerbs(upkeep: StoreUpkeep): ControlVerbs {
  return {
    async *'store.ls'() {
      yield* await upkeep.list();
    },
    'store.verify': (_, signal) => upkeep.verify({ signal }),
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
