import type { Logger } from 'pino';
import type { Announcer } from './announcer.ts';
import type { InferenceService } from './inference-service.ts';
import type { ReplicaSet } from './replica/replica-set.ts';

/** What of a node rests with it. */
export interface RestingParts {
  readonly inference: Pick<InferenceService, 'pause'>;
  readonly announcer: Pick<Announcer, 'pause'>;
  readonly replicas: Pick<ReplicaSet, 'rest' | 'rise'>;
  readonly logger: Pick<Logger, 'info'>;
}

/** Has the parts of a node rest for a reason, or serve when there is none. */
export function rest(
  { inference, announcer, replicas, logger }: RestingParts,
  reason: string | undefined,
): void {
  inference.pause(reason);
  announcer.pause(reason !== undefined);
  if (reason === undefined) {
    replicas.rise();
    return;
  }
  replicas.rest(reason);
  logger.info({ reason }, 'node is paused');
}
