import type { Logger } from 'pino';
import type { Announcer } from './announcer.ts';
import type { OperatorOrders } from './operator-orders.ts';
import type { ReplicaSet } from './replica/replica-set.ts';

/** Does what the operator has ordered: what he forbids goes, what he pins is loaded, the rest the others hear. */
export function obey(
  { pinned, forbidden }: Pick<OperatorOrders, 'pinned' | 'forbidden'>,
  parts: {
    readonly replicas: Pick<ReplicaSet, 'get' | 'expel' | 'wake'>;
    readonly announcer: Pick<Announcer, 'changed'>;
    readonly logger: Pick<Logger, 'warn'>;
  },
): void {
  const { replicas, announcer, logger } = parts;
  for (const cid of forbidden) {
    if (replicas.get(cid) === undefined) continue;
    replicas.expel(cid, 'its operator forbids it').catch((error: unknown) => {
      logger.warn({ err: error, cid }, 'forbidden version could not be given up');
    });
  }
  for (const cid of pinned) if (replicas.get(cid)?.state === 'cold') replicas.wake(cid);
  announcer.changed();
}
