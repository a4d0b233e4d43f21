import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  type Manifest,
  manifestBytes,
  type ResolvedDeployment,
  resolveDeployment,
} from '../protocols/manifest/index.ts';
import type { VersionCid } from '../protocols/types.ts';
import { type HandoverVersion, selectOwed, wantedWithout } from '../src/policy/handover.ts';
import { estimateMemory, versionSize } from '../src/policy/memory-need.ts';
import { hindranceOf } from '../src/policy/scaling/node-fitness.ts';
import { fitnessOf, isStaying } from '../src/swarm/node-fitness.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import { BackgroundWork } from './background-work.ts';
import type { Replica, ReplicaOrigin } from './replica/replica.ts';

/** Milliseconds between two looks at who has taken over. */
const LOOK_INTERVAL_MS = 200;

/**
 * Milliseconds for which others have time to say that they leave too, or that they load what this node has: a look before that would
 * find takers that are none, or none that are.
 */
const HEARING_MS = 300;

export interface HandoverComponents {
  readonly peer: Pick<SwarmPeer, 'id' | 'view' | 'recruits'>;
  readonly replicas: {
    readonly replicas: readonly Pick<Replica, 'origin' | 'state' | 'standing'>[];
  };
  readonly manifest: (cid: VersionCid) => Promise<Manifest | undefined>;
  /** Whether a channel points at a version: nobody takes over what none does. */
  readonly isReleased: (cid: VersionCid) => Promise<boolean>;
  /** Tells the swarm that this node leaves, and takes nothing more. */
  readonly announce: () => void;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface HandoverInit {
  /** Milliseconds that others have to take over; 0 to not wait. */
  readonly timeoutMs: number;
}

/** What a version takes of a node. */
interface Need {
  readonly deployment: ResolvedDeployment;
  readonly memoryBytes: number;
  readonly fileBytes: number;
}

/** How far a hand-over is. */
export interface HandoverProgress {
  /** Versions that are not served enough elsewhere yet. */
  readonly owed: readonly HandoverVersion[];
}

/**
 * Has others serve what this node serves before it goes: it tells that it leaves, so that its replicas count no more, and serves on
 * until there are as many without it as there have to be. It makes no replica itself: whoever may claim one does.
 */
export class Handover {
  readonly #components: HandoverComponents;
  readonly #init: HandoverInit;
  readonly #work: BackgroundWork;
  #leaving = false;
  /** Undefined while none is under way. */
  #underway: Promise<void> | undefined;
  /** How far the last one is; undefined before its first look. */
  #progress: HandoverProgress | undefined;
  /** Resolves with the next progress. */
  #news = Promise.withResolvers<void>();

  constructor(components: HandoverComponents, init: HandoverInit) {
    this.#components = components;
    this.#init = init;
    this.#work = new BackgroundWork((error) => {
      components.logger.warn(
        { err: error },
        'hand-over failed: this node leaves before others serve what it serves',
      );
    });
  }

  /** True from the first {@link run} on: there is no way back but a new start. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Hands over, once for however many ask meanwhile; resolves when nothing is owed, or its time is up. Never rejects. */
  run(): Promise<void> {
    if (this.#underway !== undefined) return this.#underway;
    const ended = Promise.withResolvers<void>();
    this.#underway = ended.promise;
    this.#progress = undefined;
    this.#work.run(async () => {
      try {
        await this.#run();
      } finally {
        this.#underway = undefined;
        ended.resolve();
      }
    });
    return ended.promise;
  }

  /**
   * {@link run} for who wants to know how far it is: yields whenever it is another number of versions that others have to take over,
   * at last none, or what is left undone. It goes on when he leaves.
   */
  async *watch(): AsyncGenerator<HandoverProgress> {
    let underway = true;
    const ended = this.run().then(() => {
      underway = false;
    });
    let told: HandoverProgress | undefined;
    for (;;) {
      if (this.#progress !== undefined && this.#progress !== told) {
        told = this.#progress;
        yield told;
      } else if (underway) await Promise.race([ended, this.#news.promise]);
      else return;
    }
  }

  /** Ends what is under way, with what is left undone. */
  async stop(): Promise<void> {
    await this.#work.stop();
  }

  async #run(): Promise<void> {
    const { announce, logger } = this.#components;
    const signal = AbortSignal.any([this.#work.signal, AbortSignal.timeout(this.#init.timeoutMs)]);
    if (!this.#leaving) {
      this.#leaving = true;
      announce();
    }
    await pause(HEARING_MS, signal);
    let told: number | undefined;
    for (;;) {
      const owed = selectOwed(await this.#versions());
      if (owed.length !== told) {
        logger.info({ owed: owed.map(({ cid }) => cid) }, 'others take over what this node serves');
        this.#progress = { owed };
        this.#news.resolve();
        this.#news = Promise.withResolvers();
      }
      told = owed.length;
      if (owed.length === 0) return;
      if (signal.aborted) {
        logger.warn({ owed }, 'this node leaves before others serve what it serves');
        return;
      }
      await pause(LOOK_INTERVAL_MS, signal);
    }
  }

  async #versions(): Promise<HandoverVersion[]> {
    const { replicas, manifest, isReleased } = this.#components;
    const versions: HandoverVersion[] = [];
    for (const { origin, state, standing } of replicas.replicas) {
      if (state !== 'ready') continue;
      const { cid } = origin;
      const [known, released] = [await manifest(cid), await isReleased(cid)];
      if (known === undefined || !released) continue;
      const deployment = resolveDeployment(known.deployment);
      const wanted = wantedWithout(deployment, performance.now() - standing.lastUsedMs);
      const need = {
        deployment,
        memoryBytes: estimateMemory(versionSize(known), false).hostBytes,
        fileBytes: manifestBytes(known),
      };
      const version = { cid, wanted, ...this.#others(cid, need) };
      versions.push(version);
      if (version.ready < wanted) await this.#recruit(origin, need, version);
    }
    return versions;
  }

  #others(cid: VersionCid, need: Need): Pick<HandoverVersion, 'ready' | 'takers'> {
    const { peer } = this.#components;
    const nowMs = Date.now();
    const states = new Map(
      peer.view.holders(cid, nowMs).map(({ node, version }) => {
        return [node.announcement.node, version.state] as const;
      }),
    );
    let [ready, takers] = [0, 0];
    for (const { announcement } of peer.view.nodes(nowMs)) {
      const { node } = announcement;
      if (node === peer.id || !isStaying(announcement)) continue;
      const state = states.get(node);
      if (state === 'ready') ready += 1;
      else if (state === 'loading') takers += 1;
      else if (state === 'quarantined') continue;
      else if (hindranceOf(fitnessOf(announcement), need, state === 'cold') === undefined) {
        takers += 1;
      }
    }
    return { ready, takers };
  }

  /** Tells those too who never heard of the version: this node, which has it, is the first that knows what will lack. */
  async #recruit(
    { publisher, name, cid }: ReplicaOrigin,
    { deployment: { providers }, memoryBytes }: Need,
    { wanted, ready }: HandoverVersion,
  ): Promise<void> {
    const { peer, logger } = this.#components;
    const notice = { publisher, name, cid, desired: wanted, have: ready, memoryBytes, providers };
    try {
      await peer.recruits.publish({ ...notice, deficit: wanted - ready });
    } catch (error) {
      logger.warn(
        { err: error, cid },
        'nodes that do not know the version did not hear that it lacks replicas',
      );
    }
  }
}

/** Waits, and not past the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {
    // Time is up: who waits looks a last time.
  });
}
