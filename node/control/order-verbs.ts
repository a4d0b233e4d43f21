import { parseVersion } from './control-argument.ts';
import type { OperatorOrders } from '../operator-orders.ts';
import type { ControlVerbs } from './control-verb.ts';

/** What the operator has a running node hold and not hold; each is on the disk when it is answered. */
export function orderVerbs(
  orders: Pick<OperatorOrders, 'cordon' | 'pin' | 'unpin' | 'forbid' | 'allow'>,
): ControlVerbs {
  return {
    async *'node.cordon'() {
      await orders.cordon(true);
      yield { cordoned: true };
    },
    async *'node.uncordon'() {
      await orders.cordon(false);
      yield { cordoned: false };
    },
    async *'node.pin'(argument) {
      const cid = parseVersion(argument);
      await orders.pin(cid);
      yield { cid, pinned: true };
    },
    async *'node.unpin'(argument) {
      const cid = parseVersion(argument);
      await orders.unpin(cid);
      yield { cid, pinned: false };
    },
    async *'node.forbid'(argument) {
      const cid = parseVersion(argument);
      await orders.forbid(cid);
      yield { cid, forbidden: true };
    },
    async *'node.allow'(argument) {
      const cid = parseVersion(argument);
      await orders.allow(cid);
      yield { cid, forbidden: false };
    },
  };
}
