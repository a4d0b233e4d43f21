import { describe, expect, it } from 'vitest';
import { steadyTrace } from '../../../../../src/sim/scaling/demand-trace.ts';
import { ReplicaLife } from '../../../../../src/sim/scaling/replica-life.ts';
import { createScenario } from '../../../../../src/sim/scaling/scenario-init.ts';
import { SwarmState } from '../../../../../src/sim/scaling/swarm-state.ts';
import { EVENT } from '../../../../../src/sim/scaling/timeline.ts';

/** A swarm of three nodes, of which the first has the first of two versions: a fetch takes 8 s, a load 2 s. */
function create() {
  const state = new SwarmState(
    createScenario({
      ...{ nodes: 3, clients: 1, versions: 2, durationMs: 60_000, trace: steadyTrace(1) },
      ...{ fileBytes: 100e6, loadMs: 2_000 },
    }),
  );
  const life = new ReplicaLife(state);
  const [version, other] = state.versions;
  const [holder, node, third] = state.nodes;
  if (version === undefined || other === undefined || holder === undefined)
    throw new Error('no swarm');
  if (node === undefined || third === undefined) throw new Error('no swarm');
  life.place(holder, version);
  const untilMs = (atMs: number): void => {
    while (state.timeline.next(atMs)) {
      if (state.timeline.kind === EVENT.loaded) life.loaded(state.timeline.argument);
    }
    state.timeline.nowMs = atMs;
  };
  return {
    state,
    life,
    version,
    other,
    node,
    third,
    replica: state.partOf(node, version),
    untilMs,
  };
}

describe('ReplicaLife', () => {
  it('fetches for later, then loads from the disk', () => {
    const { life, version, node, replica, untilMs } = create();
    life.prefetch(node, version);
    untilMs(7_999);
    expect([replica.state, replica.prefetching, version.fetching]).toEqual(['gone', true, 1]);
    untilMs(8_000);
    expect([replica.state, replica.prefetching, version.fetching]).toEqual(['cold', false, 0]);
    life.claim(node, version);
    untilMs(10_000);
    expect(replica.state).toBe('ready');
  });

  it('goes on with what it fetches for later when it claims it', () => {
    const { life, version, node, replica, untilMs } = create();
    life.prefetch(node, version);
    untilMs(5_000);
    life.claim(node, version);
    expect([replica.state, replica.prefetching, version.fetching]).toEqual(['loading', false, 1]);
    untilMs(9_999);
    expect(replica.state).toBe('loading');
    untilMs(10_000);
    expect([replica.state, version.fetching]).toEqual(['ready', 0]);
  });

  it('fetches for later no more once another version is claimed', () => {
    const { life, version, other, node, replica, untilMs } = create();
    life.prefetch(node, version);
    life.claim(node, other);
    expect([replica.prefetching, version.fetching]).toEqual([false, 0]);
    untilMs(60_000);
    expect([replica.state, replica.stored]).toEqual(['gone', false]);
  });

  it('has nobody share the uplinks with a claim that was given up, or whose node is lost', () => {
    const { life, version, node, third, untilMs } = create();
    life.claim(node, version);
    life.claim(third, version);
    expect(version.fetching).toBe(2);
    life.forget(node, version);
    expect(version.fetching).toBe(1);
    third.alive = false;
    untilMs(60_000);
    expect(version.fetching).toBe(0);
  });
});
