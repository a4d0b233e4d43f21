import type { Announcement } from '../protocols/capacity/index.ts';
import type { Handover } from './handover.ts';
import type { ResolvedNodeInit } from './node-init.ts';
import type { OperatorOrders } from './operator-orders.ts';

/** On what terms others may count on this node, as they hear: whether it takes further versions, whether it stays, what it costs. */
export function termsOf(
  { costPerHour }: Pick<ResolvedNodeInit, 'costPerHour'>,
  parts: {
    readonly orders: Pick<OperatorOrders, 'cordoned'>;
    readonly handover: Pick<Handover, 'leaving'>;
  },
): Pick<Announcement, 'cordoned' | 'leaving' | 'costPerHour'> {
  return {
    ...(parts.orders.cordoned ? { cordoned: true } : {}),
    ...(parts.handover.leaving ? { leaving: true } : {}),
    ...(costPerHour === undefined ? {} : { costPerHour }),
  };
}
