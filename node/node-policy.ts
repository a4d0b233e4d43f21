import { BusyError, ForbiddenError } from '../protocols/errors.ts';
import type { Manifest } from '../protocols/manifest/index.ts';
import { quoted } from '../protocols/quoted.ts';
import type { VersionCid } from '../protocols/types.ts';
import { type AllowList, allows } from './node-init.ts';
import type { OperatorOrders } from './operator-orders.ts';
import type { ReplicaOrigin } from './replica/replica.ts';

/** Milliseconds after which a node that takes nothing further now may be asked again: an operator's order is long. */
const RETRY_MS = 60_000;

export interface NodePolicyInit {
  readonly allowPublishers: AllowList;
  /** Versions held at most: all there are, or those named. */
  readonly allowVersions: AllowList;
  /** What models may do, in the words of their manifests. */
  readonly allowTasks: AllowList;
}

/** Which versions a node holds: by its configuration, and by what its operator has ordered since. */
export class NodePolicy {
  readonly #init: NodePolicyInit;
  readonly #orders: Pick<OperatorOrders, 'cordoned' | 'pinned' | 'forbidden'>;

  constructor(
    init: NodePolicyInit,
    orders: Pick<OperatorOrders, 'cordoned' | 'pinned' | 'forbidden'>,
  ) {
    this.#init = init;
    this.#orders = orders;
  }

  get pinned(): readonly VersionCid[] {
    return this.#orders.pinned;
  }

  isPinned(cid: VersionCid): boolean {
    return this.#orders.pinned.includes(cid);
  }

  /** Why this node never holds a version, whatever it does; undefined when it may. */
  refusal({ publisher, cid }: Pick<ReplicaOrigin, 'publisher' | 'cid'>): string | undefined {
    const { allowPublishers, allowVersions } = this.#init;
    if (!allows(allowPublishers, publisher)) {
      return `this node does not serve publisher ${publisher} (its --allow-publisher list says whom it serves)`;
    }
    if (!allows(allowVersions, cid)) {
      return `this node does not serve version ${cid} (its --allow-version list says which it serves)`;
    }
    if (this.#orders.forbidden.includes(cid)) return `version ${cid} is forbidden on this node`;
    return undefined;
  }

  /** Why this node runs nothing that does this; undefined when it does. What says nothing of its task is let in by `any` alone. */
  taskRefusal(task: string | undefined): string | undefined {
    if (allows(this.#init.allowTasks, task ?? '')) return undefined;
    return `this node does not serve models of task ${quoted(task ?? 'none')} (its --allow-task list says which it serves)`;
  }

  /** @throws {ERR_FORBIDDEN} when this node never holds the version. */
  check(origin: Pick<ReplicaOrigin, 'publisher' | 'cid'>): void {
    const refusal = this.refusal(origin);
    if (refusal !== undefined) throw new ForbiddenError(refusal);
  }

  /** @throws {ERR_BUSY} while it takes no further ones. */
  checkRoom(): void {
    if (this.#orders.cordoned) {
      throw new BusyError('this node is cordoned and takes no further versions', RETRY_MS);
    }
  }

  /** @throws {ERR_FORBIDDEN} when this node runs nothing that does what the version does. */
  checkManifest({ metadata }: Pick<Manifest, 'metadata'>): void {
    const refusal = this.taskRefusal(metadata.task);
    if (refusal !== undefined) throw new ForbiddenError(refusal);
  }
}
