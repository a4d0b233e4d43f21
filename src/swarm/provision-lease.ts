import { BoundedMap } from '../../protocols/bounded-map.ts';
import { deriveHookKey, type HookKey } from '../../protocols/provision/index.ts';
import type { NodeId } from '../../protocols/types.ts';
import { PROVISION_HEARTBEAT_MS, selectProvisionHolder } from '../policy/provision-lease.ts';
import type { ProvisionGossip } from './provision-gossip.ts';

/** Others with the same hook that are remembered; all of them know it, so that nobody else fills this. */
const MAX_HOLDERS = 256;

export interface ProvisionLeaseInit {
  /** The hook as it was given: those with the same text share a lease. */
  readonly hook: string;
  /** Whether this peer has something to tell; while it has not, others are not kept from it. */
  readonly canTell: () => boolean;
}

/** This peer's part in the lease of a hook: of all that have it, one tells it. */
export class ProvisionLease {
  readonly #gossip: ProvisionGossip;
  readonly #init: ProvisionLeaseInit;
  readonly #heardAtMs = new BoundedMap<NodeId, number>(MAX_HOLDERS);
  #key: Promise<HookKey> | undefined;
  #listeningSinceMs: number | undefined;
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;
  /** True once others were told of this peer: only then do they have to hear that it leaves. */
  #known = false;

  constructor(gossip: ProvisionGossip, init: ProvisionLeaseInit) {
    this.#gossip = gossip;
    this.#init = init;
  }

  /** True while it is this peer's turn; false until it has listened for a while. */
  get isHolder(): boolean {
    if (this.#listeningSinceMs === undefined || this.#stopped !== undefined) return false;
    const view = {
      self: this.#gossip.id,
      listeningSinceMs: this.#listeningSinceMs,
      heardAtMs: this.#heardAtMs,
    };
    return selectProvisionHolder(view, performance.now()) === this.#gossip.id;
  }

  /** Begins to listen, and to tell others that it lives. Twice is once. */
  start(): void {
    this.#key ??= this.#listen();
  }

  /** Says that it leaves, so that the next one takes over at once. Twice is once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#leave();
    return this.#stopped;
  }

  async #listen(): Promise<HookKey> {
    const key = await deriveHookKey(this.#gossip.network, this.#init.hook);
    if (this.#stopped !== undefined) return key;
    this.#gossip.join();
    this.#unsubscribe = this.#gossip.onHeartbeat(key, ({ reporter, leaving }) => {
      if (leaving) this.#heardAtMs.delete(reporter);
      else this.#heardAtMs.set(reporter, performance.now());
    });
    this.#listeningSinceMs = performance.now();
    void this.#beat(key);
    this.#timer = setInterval(() => void this.#beat(key), PROVISION_HEARTBEAT_MS).unref();
    return key;
  }

  async #beat(key: HookKey): Promise<void> {
    if (!this.#init.canTell() || this.#stopped !== undefined) return;
    this.#known = true;
    await this.#publish(key, false);
  }

  async #leave(): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe?.();
    const key = await this.#key;
    if (key !== undefined && this.#known) await this.#publish(key, true);
  }

  /** Never rejects: what is lost, the next heartbeat makes good, or the end of the lease. */
  async #publish(key: HookKey, leaving: boolean): Promise<void> {
    await this.#gossip.publish(key, { leaving }).catch(() => undefined);
  }
}
