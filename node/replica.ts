import type { AnnouncedVersion, ReplicaState } from '../protocols/capacity/index.ts';
import type { PublisherId, VersionCid } from '../protocols/types.ts';
import type { LoadedModel } from './backend/backend.ts';
import type { VersionQueue } from './scheduler/version-queue.ts';

/** What a replica was asked for as. */
export interface ReplicaOrigin {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
}

/**
 * One version on this node, from the moment it is wanted until it is gone.
 *
 *     loading ──▶ ready ──▶ gone
 *        └───────────────▶ gone
 */
export class Replica {
  readonly origin: ReplicaOrigin;
  #state: ReplicaState = 'loading';
  #model: LoadedModel | undefined;
  #queue: VersionQueue | undefined;

  constructor(origin: ReplicaOrigin) {
    this.origin = origin;
  }

  /** `ready` only while the process that serves it is: a child that is being restarted makes it `loading` again. */
  get state(): ReplicaState {
    if (this.#state !== 'ready') return this.#state;
    switch (this.#model?.state) {
      case 'ready':
        return 'ready';
      case 'restarting':
        return 'loading';
      default:
        return 'gone';
    }
  }

  get model(): LoadedModel | undefined {
    return this.#model;
  }

  get queue(): VersionQueue | undefined {
    return this.#queue;
  }

  loaded(model: LoadedModel, queue: VersionQueue): void {
    this.#model = model;
    this.#queue = queue;
    this.#state = 'ready';
  }

  /** Ends what runs, then gives its memory back. */
  async unload(): Promise<void> {
    this.#state = 'gone';
    await this.#queue?.drain();
    await this.#model?.unload();
  }

  announced(): AnnouncedVersion {
    const { publisher, name, cid } = this.origin;
    const load = this.#queue?.load() ?? { inFlight: 0, queued: 0, slots: 1, serviceMs: null };
    return { cid, publisher, name, state: this.state, load };
  }
}
