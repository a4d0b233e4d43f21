import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Announcement } from '../../protocols/capacity/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { planReplicas } from '../../src/policy/scaling/plan-replicas.ts';
import {
  EMPTY_SCALING_MEMORY,
  type ScalingMemory,
} from '../../src/policy/scaling/scaling-memory.ts';
import type { ScalingSettings } from '../../src/policy/scaling/scaling-settings.ts';
import type {
  ReplicaAction,
  ScalingNode,
  ScalingSelf,
  ScalingView,
  VersionPlan,
} from '../../src/policy/scaling/scaling-view.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import type { ScaledVersion } from '../../src/swarm/scaled-versions.ts';
import type { ScalingWatch } from '../../src/swarm/scaling-watch.ts';
import { announcedHolders } from '../../src/swarm/version-holders.ts';
import { BackgroundWork } from '../background-work.ts';
import type { NodePolicy } from '../node-policy.ts';
import type { ReplicaSet } from '../replica/replica-set.ts';
import { FailedClaims } from './failed-claims.ts';
import type { NodeRoom } from './node-room.ts';
import type { Prefetcher } from './prefetcher.ts';
import { elsewhere } from './wake-gate.ts';

/** Share of a tick by which it is moved at random: nodes that started together should not all plan at once. */
const JITTER = 0.2;

/** Milliseconds between two looks at least: what was just announced must be heard before it can be counted. */
const MIN_WAIT_MS = 50;

/** Milliseconds from a notice of a version to a look: by then what the plan needs of it has been looked up, as a rule. */
const NOTICE_LOOK_MS = 500;

export interface ScalerComponents {
  readonly peer: SwarmPeer;
  readonly watch: ScalingWatch;
  readonly replicas: ReplicaSet;
  readonly prefetcher: Prefetcher;
  readonly room: NodeRoom;
  readonly policy: Pick<NodePolicy, 'refusal' | 'taskRefusal' | 'pinned'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface ScalerInit {
  readonly settings: ScalingSettings;
}

/** A version of the last plan, with the model it is of. */
export interface PlannedVersion extends VersionPlan, Pick<ScaledVersion, 'publisher' | 'name'> {}

/**
 * Has this node do its part of what the swarm's demand asks for: looks at what is known every tick, plans by it as every other
 * node does, and claims, leaves or prefetches what the plan gives it. Nobody decides for all.
 */
export class Scaler {
  readonly #components: ScalerComponents;
  readonly #init: ScalerInit;
  readonly #work: BackgroundWork;
  #memory: ScalingMemory = EMPTY_SCALING_MEMORY;
  #plan: readonly PlannedVersion[] = [];
  readonly #failed = new FailedClaims();
  /** Apart from claims: what could not be fetched for later, from whom may have gone since, may be lacking now. */
  readonly #failedFetches = new FailedClaims();
  /** Versions that are claimed as soon as the one has left whose place they take. */
  readonly #moving = new Set<VersionCid>();
  #started = false;
  /** When to look next; infinite while it looks and nothing has come up meanwhile. On the clock of `performance`. */
  #dueAtMs = Number.POSITIVE_INFINITY;
  #hurried = new AbortController();
  readonly #listening: (() => void)[] = [];

  constructor(components: ScalerComponents, init: ScalerInit) {
    this.#components = components;
    this.#init = init;
    this.#work = new BackgroundWork((error) => {
      components.logger.warn({ err: error }, 'the plan could not be followed');
    });
  }

  /** How the versions stand that this node knows of, by its last look. */
  get plan(): readonly PlannedVersion[] {
    return this.#plan;
  }

  /** What announcements say of the room that is left here. */
  get room(): Pick<Announcement, 'roomBytes' | 'diskFreeBytes'> {
    const { memoryFreeBytes, diskFreeBytes } = this.#components.room;
    return {
      ...(memoryFreeBytes === null ? {} : { roomBytes: Math.floor(memoryFreeBytes) }),
      ...(diskFreeBytes === null ? {} : { diskFreeBytes }),
    };
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { recruits, liveness } = this.#components.peer;
    recruits.join();
    this.#listening.push(
      recruits.onNotice(() => this.#hurry(NOTICE_LOOK_MS)),
      liveness.onDeath((_node, held) => {
        // What nobody held is missed by nobody. Others die with it, and all are one look.
        if (held.length > 0) this.#hurry(MIN_WAIT_MS);
      }),
    );
    this.#work.run(() => this.#keepLooking());
  }

  /** Plans nothing more from the call on; resolves when what is leaving has left, which takes as long as the requests it runs. */
  async stop(): Promise<void> {
    const { prefetcher, watch } = this.#components;
    for (const end of this.#listening.splice(0)) end();
    await Promise.all([this.#work.stop(), prefetcher.stop(), watch.stop()]);
  }

  /** What to tell whoever asks for a version that lies on the disk here, which is loaded if it is this node's turn. */
  wake(cid: VersionCid): Error {
    const { peer, watch, replicas } = this.#components;
    const why = elsewhere(cid, {
      node: peer.id,
      view: peer.view,
      etaMs: replicas.get(cid)?.etaMs ?? null,
      forMs: (node, version) => watch.forMs(node, version, Date.now()),
    });
    return why ?? replicas.wake(cid);
  }

  /** Whether a version that is idle may leave memory for another: others serve it, as many as are wanted. */
  mayLeave(cid: VersionCid): boolean {
    const planned = this.#plan.find((version) => version.cid === cid);
    return planned !== undefined && planned.have > planned.desired;
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#work;
    const { tickMs } = this.#init.settings;
    let waitMs = tickMs;
    while (!signal.aborted) {
      await this.#pause(waitMs * (1 + JITTER * (Math.random() - 0.5)), signal);
      waitMs = tickMs;
      try {
        const lookAtMs = (await this.#look()) ?? Number.POSITIVE_INFINITY;
        waitMs = Math.min(tickMs, Math.max(MIN_WAIT_MS, lookAtMs - Date.now()));
      } catch (error) {
        if (signal.aborted) return;
        this.#components.logger.warn({ err: error }, 'plan could not be followed; the next one is');
      }
    }
  }

  /** Until the next look is due, which what comes up meanwhile may bring forward. */
  async #pause(waitMs: number, signal: AbortSignal): Promise<void> {
    this.#dueAtMs = Math.min(this.#dueAtMs, performance.now() + waitMs);
    for (;;) {
      const restMs = this.#dueAtMs - performance.now();
      if (restMs <= 0) break;
      this.#hurried = new AbortController();
      const either = AbortSignal.any([signal, this.#hurried.signal]);
      await delay(restMs, undefined, { signal: either, ref: false }).catch(() => {
        signal.throwIfAborted();
      });
    }
    this.#dueAtMs = Number.POSITIVE_INFINITY;
  }

  /** Something has come up that a plan should answer to: the next look is in so many milliseconds at most. */
  #hurry(inMs: number): void {
    const dueAtMs = performance.now() + inMs;
    if (dueAtMs >= this.#dueAtMs) return;
    this.#dueAtMs = dueAtMs;
    this.#hurried.abort();
  }

  /** Does what the plan gives this node; returns when it is worth to look before the next tick. */
  async #look(): Promise<number | null> {
    const { watch, room } = this.#components;
    const nowMs = Date.now();
    const view = watch.view(nowMs);
    await room.look();
    const self = this.#self(view);
    // Before its first announcement a node is nobody that a plan could count on.
    if (self === undefined) return null;
    const plan = planReplicas(view, self, nowMs, Math.random);
    this.#memory = plan.memory;
    for (const node of plan.meetings) void this.#components.peer.liveness.meet(node);
    this.#plan = plan.versions.flatMap((version) => {
      const scaled = watch.version(version.cid);
      return scaled === undefined ? [] : { ...version, ...modelOf(scaled) };
    });
    for (const action of plan.actions) await this.#act(action);
    await this.#keepPinned(nowMs);
    for (const cid of plan.notices) await this.#recruit(cid);
    return plan.lookAtMs;
  }

  /** Has in memory what the operator wants there, also what this node has never held: a channel has to point at it. */
  async #keepPinned(nowMs: number): Promise<void> {
    const { watch, replicas, policy } = this.#components;
    for (const cid of policy.pinned) {
      const version = watch.version(cid);
      const state = replicas.get(cid)?.state ?? 'gone';
      if (version === undefined || (state !== 'gone' && state !== 'cold')) continue;
      if (policy.refusal(version) !== undefined || this.#failed.has(cid, nowMs)) continue;
      await this.#claim(version);
    }
  }

  #self(view: ScalingView): ScalingSelf | undefined {
    const { peer, watch, replicas, prefetcher, room, policy } = this.#components;
    const { settings } = this.#init;
    const known = view.nodes.find(({ node }) => node === peer.id);
    if (known === undefined) return undefined;
    const { memoryFreeBytes, diskFreeBytes } = room;
    const node: ScalingNode = { ...known, memoryFreeBytes, diskFreeBytes };
    const nowMs = Date.now();
    const refused = view.versions.filter(({ cid }) => {
      const version = watch.version(cid);
      if (version === undefined || this.#moving.has(cid)) return true;
      if ((policy.refusal(version) ?? policy.taskRefusal(version.task)) !== undefined) return true;
      return this.#failed.has(cid, nowMs) && replicas.get(cid)?.state !== 'ready';
    });
    const unfetched = view.versions.filter(({ cid }) => this.#failedFetches.has(cid, nowMs));
    const loading = replicas.replicas.filter(({ state }) => state === 'loading').length;
    return {
      node,
      refused: new Set(refused.map(({ cid }) => cid)),
      unfetched: new Set(unfetched.map(({ cid }) => cid)),
      pinned: new Set(policy.pinned),
      loading: loading + this.#moving.size,
      prefetching: prefetcher.size,
      settings,
      memory: this.#memory,
    };
  }

  async #act(action: ReplicaAction): Promise<void> {
    const { replicas, logger } = this.#components;
    const { cid, kind, reason } = action;
    const version = this.#components.watch.version(cid);
    if (version === undefined) return;
    const { name } = version;
    logger.info({ cid, name, action: kind, reason }, 'the plan has this node act');
    switch (kind) {
      case 'claim':
        return this.#claim(version);
      case 'move':
        return this.#move(action.from, version, reason);
      case 'leave':
      case 'forget':
        // Not waited for: what it runs may take as long as it likes, and the plan is for all versions.
        this.#work.run(() => replicas.leave(cid, reason));
        return;
      case 'prefetch':
        this.#components.prefetcher.fetch(originOf(version), this.#holders(cid), () =>
          this.#failedFetches.add(cid, Date.now()),
        );
    }
  }

  /** Takes the place of a version once that is free; not waited for either. */
  #move(from: VersionCid, version: ScaledVersion, reason: string): void {
    const { cid } = version;
    if (this.#moving.has(cid)) return;
    this.#moving.add(cid);
    this.#work.run(async () => {
      try {
        await this.#components.replicas.leave(from, reason);
        if (!this.#work.signal.aborted) await this.#claim(version);
      } finally {
        this.#moving.delete(cid);
      }
    });
  }

  async #claim(version: ScaledVersion): Promise<void> {
    const { replicas, prefetcher } = this.#components;
    const { cid } = version;
    await prefetcher.end();
    const evict = (idle: VersionCid): boolean => this.mayLeave(idle);
    const claim = replicas.claim(originOf(version), { peers: this.#holders(cid), evict });
    // Not waited for: a fetch may take as long as it likes. The log has why it failed.
    claim.then(
      () => this.#failed.forget(cid),
      () => this.#failed.add(cid, Date.now()),
    );
  }

  async #recruit(cid: VersionCid): Promise<void> {
    const { peer, watch } = this.#components;
    const version = watch.version(cid);
    const planned = this.#plan.find((one) => one.cid === cid);
    if (version === undefined || planned === undefined) return;
    const { desired, have } = planned;
    await peer.recruits.publish({
      ...{ cid, ...modelOf(version), desired, have },
      deficit: Math.max(1, desired - have),
      memoryBytes: version.memoryBytes,
      providers: version.deployment.providers,
    });
  }

  #holders(cid: VersionCid): readonly NodeId[] {
    return announcedHolders(this.#components.peer, cid) as NodeId[];
  }
}

function modelOf({ publisher, name }: ScaledVersion): Pick<ScaledVersion, 'publisher' | 'name'> {
  return { publisher, name };
}

function originOf({
  publisher,
  name,
  cid,
}: ScaledVersion): Pick<ScaledVersion, 'publisher' | 'name' | 'cid'> {
  return { publisher, name, cid };
}
