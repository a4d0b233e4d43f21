import pino from 'pino';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Scaler, type ScalerComponents } from '../../../../node/scaler/scaler.ts';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import { planReplicas } from '../../../../src/policy/scaling/plan-replicas.ts';
import { EMPTY_SCALING_MEMORY } from '../../../../src/policy/scaling/scaling-memory.ts';
import { resolveScalingInit } from '../../../../src/policy/scaling/scaling-settings.ts';
import type {
  ReplicaAction,
  ScalingNode,
  ScalingSelf,
} from '../../../../src/policy/scaling/scaling-view.ts';
import type { DeathListener } from '../../../../src/swarm/liveness.ts';
import { present } from '../../../support/present.ts';

vi.mock('../../../../src/policy/scaling/plan-replicas.ts');

const NODE = 'node' as NodeId;
const [A, B] = ['a', 'b'] as unknown as [VersionCid, VersionCid];
const because = { reason: 'the test says so' };

/** A scaler whose plan is what a test says, of two versions of which `a` is READY here. */
function prepare({
  pinned = [],
  tickMs = 100,
}: {
  readonly pinned?: readonly VersionCid[];
  readonly tickMs?: number;
} = {}) {
  const looks: ScalingSelf[] = [];
  const actions: ReplicaAction[] = [];
  const meetings: NodeId[] = [];
  const done: string[] = [];
  const leaving = Promise.withResolvers<void>();
  const heard: Partial<Record<'notice' | 'death', () => void>> = {};
  let prefetchFailed: (() => void) | undefined;
  vi.mocked(planReplicas).mockImplementation((_view, self) => {
    looks.push(self);
    const plan = { versions: [], notices: [], lookAtMs: null, memory: EMPTY_SCALING_MEMORY };
    return { ...plan, actions: actions.splice(0), meetings: meetings.splice(0) };
  });
  const replicas = {
    replicas: [],
    get: (cid: VersionCid) => ({ state: cid === A ? 'ready' : 'cold' }),
    leave: async (cid: VersionCid) => {
      done.push(`leave ${cid}`);
      await leaving.promise;
    },
    claim: async ({ cid }: { readonly cid: VersionCid }) => {
      done.push(`claim ${cid}`);
      throw new Error('no room');
    },
  };
  const components = {
    peer: {
      ...{ id: NODE, view: { holders: () => [] } },
      recruits: {
        join: () => {},
        onNotice: (listener: () => void) => {
          heard.notice = listener;
          return () => delete heard.notice;
        },
      },
      liveness: {
        meet: async (node: NodeId) => void done.push(`meet ${node}`),
        onDeath: (listener: DeathListener) => {
          heard.death = () => {
            // Of one that held nothing nobody need look.
            listener(NODE, []);
            listener(NODE, [A]);
          };
          return () => delete heard.death;
        },
      },
    },
    watch: {
      view: () => ({
        versions: [{ cid: A }, { cid: B }],
        nodes: [{ node: NODE } as ScalingNode],
        population: 1,
      }),
      version: (cid: VersionCid) => ({ publisher: 'publisher', name: 'model', cid }),
      stop: async () => {},
    },
    replicas,
    prefetcher: {
      size: 1,
      fetch: (_origin: unknown, _peers: unknown, onFailed: () => void) => {
        prefetchFailed = onFailed;
      },
      end: async () => void done.push('end fetches'),
      stop: async () => {},
    },
    room: { look: async () => {}, memoryFreeBytes: null, diskFreeBytes: null },
    policy: { refusal: () => undefined, taskRefusal: () => undefined, pinned },
    logger: pino({ level: 'silent' }),
  } as unknown as ScalerComponents;
  const scaler = new Scaler(components, { settings: resolveScalingInit({ tickMs }) });
  const nextLook = async (): Promise<ScalingSelf> => {
    const before = looks.length;
    await vi.waitFor(() => expect(looks.length).toBeGreaterThan(before), { timeout: 5_000 });
    return present(looks.at(-1));
  };
  scaler.start();
  return {
    ...{ actions, meetings, done, heard, nextLook, left: leaving.resolve },
    stop: () => scaler.stop(),
    failPrefetch: () => present(prefetchFailed)(),
    async [Symbol.asyncDispose]() {
      leaving.resolve();
      await scaler.stop();
    },
  };
}

describe('Scaler', () => {
  beforeEach(() => void vi.mocked(planReplicas).mockReset());

  it('looks on while a version that leaves ends its requests', async () => {
    await using made = prepare();
    const { actions, done, nextLook } = made;
    actions.push({ kind: 'leave', cid: A, ...because });
    await vi.waitFor(() => expect(done).toEqual(['leave a']));
    await nextLook();
    await nextLook();
  });

  it.each(['notice', 'death'] as const)(
    'looks when it hears of a %s, long before the next look is due, and hears no more once it has stopped',
    async (what) => {
      await using made = prepare({ tickMs: 60_000 });
      const { heard, nextLook } = made;
      for (let round = 0; round < 2; round += 1) {
        const look = nextLook();
        present(heard[what])();
        await look;
      }
      await made.stop();
      expect(heard).toEqual({});
    },
  );

  it('looks for the nodes that the plan is in doubt of', async () => {
    await using made = prepare();
    made.meetings.push('n1' as NodeId, 'n2' as NodeId);
    await vi.waitFor(() => expect(made.done).toEqual(['meet n1', 'meet n2']));
  });

  it('claims in a move once, when its place is free, and counts it as loading until then', async () => {
    await using made = prepare();
    const { actions, done, nextLook, left } = made;
    const move: ReplicaAction = { kind: 'move', cid: B, from: A, ...because };
    actions.push(move);
    await vi.waitFor(() => expect(done).toEqual(['leave a']));
    await nextLook();
    const self = await nextLook();
    expect(self).toMatchObject({ loading: 1, refused: new Set([B]) });
    actions.push(move);
    await nextLook();
    await nextLook();
    expect(done).toEqual(['leave a']);
    left();
    await vi.waitFor(() => expect(done).toEqual(['leave a', 'end fetches', 'claim b']));
    await nextLook();
    expect((await nextLook()).loading).toBe(0);
  });

  it('fetches no more ahead for a while what could not be fetched, and may claim it all the same', async () => {
    await using made = prepare();
    const { actions, nextLook, failPrefetch } = made;
    actions.push({ kind: 'prefetch', cid: B, ...because });
    await nextLook();
    expect(await nextLook()).toMatchObject({ refused: new Set(), unfetched: new Set() });
    failPrefetch();
    await nextLook();
    expect(await nextLook()).toMatchObject({ refused: new Set(), unfetched: new Set([B]) });
  });

  it('counts what is fetched for later apart from what loads, and ends it for a claim', async () => {
    await using made = prepare();
    const { actions, done, nextLook } = made;
    expect(await nextLook()).toMatchObject({ loading: 0, prefetching: 1 });
    actions.push({ kind: 'claim', cid: B, ...because });
    await vi.waitFor(() => expect(done).toEqual(['end fetches', 'claim b']));
  });

  it('claims what is pinned and not in memory, and leaves that alone for a while too when it fails', async () => {
    await using made = prepare({ pinned: [A, B] });
    const { done, nextLook } = made;
    await vi.waitFor(() => expect(done).toEqual(['end fetches', 'claim b']));
    await nextLook();
    expect((await nextLook()).refused).toEqual(new Set([B]));
    expect(done).toEqual(['end fetches', 'claim b']);
  });
});
