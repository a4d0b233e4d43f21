import type { AnnouncedVersion } from '../../protocols/capacity/index.ts';
import { ForbiddenError, LoadingError, NotFoundError } from '../../protocols/errors.ts';
import { type ReplicaProgress, type ReplicaRequest } from '../../protocols/replica/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { GoneVersions } from './gone-versions.ts';
import {
  type BringOptions,
  createHolding,
  type Holding,
  KEPT,
  leavingMemory,
  RESTORED,
  RETIRED,
  type TakeOptions,
  wakeRefusal,
  watch,
} from './holding.ts';
import { isForbidden, isLasting, textOf } from './load-failure.ts';
import {
  giveUp,
  type MemoryLeaveComponents,
  putToSleep,
  quarantine,
  stayCold,
} from './memory-leave.ts';
import type { MemoryLedger } from './memory-ledger.ts';
import { isSameModel, type Replica, type ReplicaOrigin } from './replica.ts';
import type { ReplicaLoader } from './replica-loader.ts';
import { createReplicaMemory } from './replica-memory.ts';
import {
  openGrant,
  provideVersion,
  rememberLoaded,
  rememberVersion,
  servable,
} from './replica-records.ts';
import type { ReplicaSetComponents, ReplicaSetInit } from './replica-set-init.ts';
import type { StoredVersion } from '../store/version-store.ts';

/** The versions this node holds: takes them on when asked and allowed, brings them back after a restart. */
export class ReplicaSet {
  /** Who has how much of the memory that models may take. */
  readonly ledger: MemoryLedger;
  readonly #init: ReplicaSetInit;
  readonly #components: ReplicaSetComponents;
  readonly #holdings = new Map<VersionCid, Holding>();
  readonly #gone = new GoneVersions((cid) => this.#holdings.has(cid));
  readonly #stopping = new AbortController();
  readonly #loader: ReplicaLoader;
  readonly #leaving: MemoryLeaveComponents;
  /** Why nothing is loaded now; undefined when it is. */
  #resting: string | undefined;

  constructor(components: ReplicaSetComponents, init: ReplicaSetInit) {
    this.#components = components;
    this.#init = init;
    this.#leaving = { ...components, logger: init.logger };
    const memory = createReplicaMemory(
      {
        ...{ parts: components, leaving: this.#leaving, signal: this.#stopping.signal },
        get: (cid) => this.get(cid),
        resting: () => this.#resting,
        sleep: (cid, why) => this.sleep(cid, why),
      },
      init,
    );
    this.ledger = memory.ledger;
    this.#loader = memory.loader;
  }

  /** Every version held, in any state. */
  get replicas(): readonly Replica[] {
    return [...this.#holdings.values()].map(({ replica }) => replica);
  }

  /** The replica of a version, in whatever state; undefined when this node does not hold it. */
  get(cid: VersionCid): Replica | undefined {
    return this.#holdings.get(cid)?.replica;
  }

  announced(): AnnouncedVersion[] {
    return [...this.replicas.map((replica) => replica.announced()), ...this.#gone.announced()];
  }

  /**
   * Takes on a replica and yields how far it is, `ready` last. Asked twice for one version, it is loaded once. The work
   * goes on when the asker leaves.
   *
   * @throws {ERR_FORBIDDEN} when this node never holds the version; {ERR_BUSY} while it takes no further ones.
   * @throws {ERR_INVALID_RECORD} when the grant is not what it claims.
   */
  async *hold(
    { grant }: ReplicaRequest,
    asker: string,
    signal: AbortSignal,
  ): AsyncGenerator<ReplicaProgress> {
    const { policy, peer } = this.#components;
    const until = AbortSignal.any([signal, this.#stopping.signal]);
    const origin = await openGrant(grant, { policy, releases: peer.releases, signal: until });
    if (this.#known(origin.cid) === undefined) policy.checkRoom();
    const holding = this.#takeFor(origin, asker);
    if (!isSameModel(holding.replica.origin, origin)) this.#components.releases.adopt(origin);
    yield* watch(holding, signal);
  }

  /**
   * Has a version loaded that is on the disk alone, once for however many ask, and says what to tell whoever asked: when to come
   * back, or why it does not help.
   *
   * @returns {ERR_LOADING} with the time it may take; {ERR_BUSY} with the numbers when the last try found no room.
   */
  wake(cid: VersionCid): Error {
    const holding = this.#holdings.get(cid);
    if (holding === undefined) return new NotFoundError(`this node does not hold version ${cid}`);
    const { replica } = holding;
    const refusal = wakeRefusal(holding);
    if (refusal !== undefined) return refusal;
    const etaMs = replica.etaMs;
    if (replica.state === 'cold') this.#rouse(holding, { evict: true, promised: true });
    return new LoadingError(`version ${cid} is being loaded`, replica.etaMs ?? etaMs);
  }

  /**
   * Takes on a replica because the swarm wants one more, from `peers` that have its files; resolves once it is READY. What is
   * loading or READY stays as it is, and what was refused or quarantined here a moment ago is left alone.
   *
   * @throws as its fetch or load did. {ERR_BUSY} when there was no room a moment ago.
   */
  async claim(
    origin: ReplicaOrigin,
    { peers, evict }: Pick<TakeOptions, 'peers' | 'evict'>,
  ): Promise<void> {
    if (this.#resting !== undefined || this.#stopping.signal.aborted) return;
    const known = this.#known(origin.cid);
    if (known === undefined) {
      return this.#begin(origin, { peers, isNew: true, claimed: true, evict }).done;
    }
    if (known.replica.state !== 'cold') return known.done;
    const refusal = wakeRefusal(known);
    if (refusal !== undefined) throw refusal;
    this.#rouse(known, { evict, promised: false });
    return known.done;
  }

  /**
   * Takes a version out of memory because the swarm has enough of it, and keeps it on the disk; resolves when its memory is back.
   * A fetch that is under way ends, and what it has brought stays for the next one.
   */
  async leave(cid: VersionCid, why: string): Promise<void> {
    const holding = this.#holdings.get(cid);
    if (holding !== undefined) await giveUp(holding, why, this.#leaving);
  }

  /** Gives a version up, by its operator's order: it ends what it runs, is never loaded again, and its files go when their room is needed. */
  async expel(cid: VersionCid, why: string): Promise<void> {
    const holding = this.#holdings.get(cid);
    holding?.givingUp.abort(new ForbiddenError(why));
    await Promise.allSettled([holding?.done]);
    await this.#components.store.unwant(cid);
    if (holding !== undefined && this.#holdings.get(cid) === holding) this.#drop(holding, why);
  }

  /** Keeps on the disk what is whole there, without loading it: the next load finds it here. */
  async keep(origin: ReplicaOrigin): Promise<void> {
    if (this.#known(origin.cid) !== undefined) return;
    await rememberVersion(this.#components, origin, true);
    this.#keepCold(origin, KEPT).surplus = true;
  }

  /** Takes a version out of memory and keeps it on the disk; resolves when its memory is back. */
  async sleep(cid: VersionCid, why: string | null = null): Promise<void> {
    const holding = this.#holdings.get(cid);
    if (holding?.replica.state === 'ready') await putToSleep(holding, why, this.#leaving);
  }

  /** Takes a version out of memory that another took the place of; it is loaded when it is asked for, or by {@link revive}. */
  async retire(cid: VersionCid): Promise<void> {
    const holding = this.#holdings.get(cid);
    if (holding !== undefined) holding.retired = true;
    await this.sleep(cid, RETIRED);
  }

  /** Loads a version that a channel points at again, before anybody asks for it. */
  revive(cid: VersionCid): void {
    const holding = this.#holdings.get(cid);
    if (holding?.retired !== true || holding.replica.state !== 'cold') return;
    if (this.#resting === undefined) this.#rouse(holding, { evict: true, promised: false });
    else holding.retired = false;
  }

  /** Loads what is on the disk alone, as far as it fits without anyone leaving. */
  wakeAll(): void {
    for (const holding of this.#holdings.values()) {
      if (holding.replica.state !== 'cold' || holding.retired || holding.surplus) continue;
      this.#rouse(holding, { evict: false, promised: false });
    }
  }

  /** Takes every version out of memory once what it runs is done, and loads none, until {@link rise}. */
  rest(reason: string): void {
    this.#resting = reason;
    for (const cid of this.#holdings.keys()) {
      this.sleep(cid, reason).catch((error: unknown) => {
        this.#init.logger.warn({ err: error, cid }, 'version could not be taken out of memory');
      });
    }
  }

  /** Ends the rest: loads what fits, and from now on what is asked for. */
  rise(): void {
    if (this.#resting === undefined) return;
    this.#resting = undefined;
    for (const holding of this.#holdings.values()) holding.refused = undefined;
    this.wakeAll();
  }

  /** Forgets a version whose files have left the disk. */
  forget(cid: VersionCid): void {
    const holding = this.#holdings.get(cid);
    if (holding === undefined || !['cold', 'quarantined'].includes(holding.replica.state)) return;
    this.#drop(holding);
  }

  /**
   * Loads again what was held before a restart, and leaves on the disk what is retired by now; a version that fails stays there too
   * and is told in the log.
   */
  async restore(
    isRetired: (cid: VersionCid) => Promise<boolean> = async () => false,
  ): Promise<void> {
    const { store, policy } = this.#components;
    for (const { origin, cold } of await servable(store, policy, this.#init.logger)) {
      if (this.#known(origin.cid) !== undefined) continue;
      if (cold) this.#keepCold(origin, KEPT).surplus = true;
      else if (await isRetired(origin.cid)) this.#keepCold(origin, RETIRED).retired = true;
      else this.#begin(origin, RESTORED);
    }
  }

  /**
   * Loads a version anew that is held, or was and is still to be served; what runs ends first, and what comes meanwhile is sent
   * to other nodes. False when it is neither.
   *
   * @throws as its load did, when it cannot be brought up again.
   */
  async reload(cid: VersionCid, signal: AbortSignal): Promise<boolean> {
    const known = this.#holdings.get(cid);
    const wanted = (await this.#components.store.wanted()).find((one) => one.cid === cid);
    const origin = known?.replica.origin ?? wanted;
    if (origin === undefined || this.#components.policy.refusal(origin) !== undefined) return false;
    await known?.done.catch(() => {
      // How it came up before does not matter: its files were damaged.
    });
    signal.throwIfAborted();
    if (known !== undefined) {
      const gone = leavingMemory(known);
      await known.replica.unload();
      gone();
    }
    if (this.#stopping.signal.aborted) return false;
    const { publisher, name } = origin;
    await this.#begin({ publisher, name, cid }, RESTORED).done;
    return true;
  }

  /** Ends every replica: what runs first, then its process. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ForbiddenError('this node is stopping'));
    const holdings = [...this.#holdings.values()];
    await Promise.allSettled(holdings.map(({ done }) => done));
    for (const holding of holdings) leavingMemory(holding);
    await Promise.allSettled(holdings.map(({ replica }) => replica.unload()));
  }

  /** What is held of a version and not on its way out. */
  #known(cid: VersionCid): Holding | undefined {
    const known = this.#holdings.get(cid);
    return known?.replica.state === 'gone' ? undefined : known;
  }

  #takeFor(origin: ReplicaOrigin, asker: string): Holding {
    const known = this.#known(origin.cid);
    if (known === undefined) {
      return this.#begin(origin, { peers: [asker], isNew: true, claimed: false, evict: true });
    }
    // What is fetched since a restart has nobody to fetch from until somebody asks who has it.
    known.askers.add(asker);
    // A publisher who places it again also has it tried again that was quarantined.
    if (['cold', 'quarantined'].includes(known.replica.state)) {
      this.#rouse(known, { evict: true, promised: false });
    }
    return known;
  }

  #begin(origin: ReplicaOrigin, options: TakeOptions): Holding {
    const holding = createHolding(origin, options.peers);
    holding.done = this.#bring(holding, options);
    holding.done.catch(() => {
      // Whoever waits sees the failure; the log has it in any case.
    });
    this.#holdings.set(origin.cid, holding);
    this.#components.changed();
    return holding;
  }

  #keepCold(origin: ReplicaOrigin, why: string): Holding {
    const holding = createHolding(origin);
    void holding.replica.sleep(why);
    this.#holdings.set(origin.cid, holding);
    this.#provide(origin.cid);
    this.#components.releases.learn(origin.publisher, origin.name);
    this.#components.changed();
    return holding;
  }

  async #bring(holding: Holding, { isNew, claimed, evict }: TakeOptions): Promise<void> {
    const { origin } = holding.replica;
    const { releases } = this.#components;
    let stored: StoredVersion | undefined;
    try {
      if (isNew) await rememberVersion(this.#components, origin, false);
      stored = await this.#loader.fetch(holding);
      // From now on others may fetch it here, whether it can be run here or not.
      this.#provide(origin.cid);
      await this.#loader.load(holding, stored, { evict, promised: false });
      releases.learn(origin.publisher, origin.name);
    } catch (error) {
      // What a fetch has brought that ended is no version yet.
      const isPartial = stored === undefined && holding.givingUp.signal.aborted;
      if (isPartial || !(await stayCold(holding, error, this.#leaving))) {
        await this.#failed(holding, error, { isNew, claimed });
        throw error;
      }
      releases.learn(origin.publisher, origin.name);
      // After a restart nobody waits to hear of it.
      if (isNew) throw error;
    }
  }

  #provide(cid: VersionCid): void {
    const options = { signal: this.#stopping.signal, logger: this.#init.logger };
    void provideVersion(this.#components.peer, cid, options);
  }

  /** Loads again what is on the disk. */
  #rouse(holding: Holding, options: BringOptions): void {
    const { cid } = holding.replica.origin;
    clearTimeout(holding.timer);
    holding.retired = false;
    holding.givingUp = new AbortController();
    if (holding.surplus) rememberLoaded(this.#components, holding.replica.origin, this.#init);
    holding.surplus = false;
    holding.replica.loading();
    holding.done = this.#reload(holding, options);
    holding.done.catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return;
      this.#init.logger.warn({ err: error, cid }, 'version could not be loaded again');
    });
    this.#components.changed();
  }

  async #reload(holding: Holding, options: BringOptions): Promise<void> {
    try {
      await this.#loader.load(holding, await this.#loader.fetch(holding), options);
    } catch (error) {
      if (await stayCold(holding, error, this.#leaving)) throw error;
      if (this.#stopping.signal.aborted || isLasting(error) || isForbidden(error))
        await this.#failed(holding, error);
      else await quarantine(holding, textOf(error), this.#leaving);
      throw error;
    }
  }

  async #failed(
    holding: Holding,
    error: unknown,
    { isNew = false, claimed = false }: Partial<TakeOptions> = {},
  ): Promise<void> {
    const { cid, name } = holding.replica.origin;
    const { aborted: unwanted, reason } = holding.givingUp.signal;
    if (unwanted) this.#init.logger.info({ cid, name, why: textOf(reason) }, 'fetch ended');
    else this.#init.logger.warn({ err: error, cid, name }, 'replica could not be brought up');
    this.#drop(holding, textOf(error));
    // Nobody placed it here: it is not to be tried after a restart either.
    if (claimed) await this.#components.store.unwant(cid);
    // What can never work leaves the disk; what has worked here may again, when the driver does that it runs on.
    if (isNew && isLasting(error) && !unwanted) {
      await this.#components.store.unwant(cid);
      await this.#components.store.remove(cid);
    }
  }

  #drop(holding: Holding, note?: string): void {
    const gone = leavingMemory(holding);
    this.#holdings.delete(holding.replica.origin.cid);
    void holding.replica.unload(note).then(gone);
    this.#gone.add(holding.replica.announced());
    this.#components.changed();
  }
}
