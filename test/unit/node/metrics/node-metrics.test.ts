import { describe, expect, it } from 'vitest';
import {
  type HeldVersion,
  NodeMetrics,
  type NodeState,
} from '../../../../node/metrics/node-metrics.ts';
import type { PlannedVersion } from '../../../../node/scaler/scaler.ts';
import {
  BusyError,
  DeadlineError,
  ExecutionError,
  ForbiddenError,
  InvalidInputError,
  LimitError,
  LoadingError,
  NotFoundError,
} from '../../../../protocols/errors.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';

function originOf(name: string, cid = `${name}-1`) {
  return { publisher: 'p' as PublisherId, name, cid: cid as VersionCid };
}

const IDLE: NodeState = { replicas: () => [], memory: () => [], plan: () => [] };
const ADDER = originOf('adder');
const OF_ADDER = 'model="p/adder",version="adder-1"';

function held(name: string, fields: Partial<HeldVersion> = {}): HeldVersion {
  return { origin: originOf(name), state: 'ready', queue: undefined, ...fields };
}

function planned(name: string, fields: Partial<PlannedVersion> = {}): PlannedVersion {
  return {
    ...originOf(name),
    ...{ desired: 1, have: 1, desiredPerS: 1, havePerS: 1, panic: false, unplaceable: null },
    ...fields,
  };
}

/** The samples whose names begin so, without their histograms' buckets. */
async function samples(metrics: NodeMetrics, prefix: string): Promise<string[]> {
  const { text } = await metrics.text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(prefix) && !line.includes('_bucket'))
    .sort();
}

describe('NodeMetrics', () => {
  it('count requests by version and how they ended, and time those that were answered in seconds', async () => {
    const metrics = new NodeMetrics(IDLE);
    metrics.answered(ADDER, { queueMs: 20, executeMs: 5 });
    metrics.answered(ADDER, { queueMs: 30, executeMs: 7 });
    metrics.failed(ADDER, new BusyError('queue is full', 100));
    metrics.cancelled(ADDER);
    expect(await samples(metrics, 'swarm_node_requests_total')).toEqual([
      `swarm_node_requests_total{${OF_ADDER},outcome="answered"} 2`,
      `swarm_node_requests_total{${OF_ADDER},outcome="busy"} 1`,
      `swarm_node_requests_total{${OF_ADDER},outcome="cancelled"} 1`,
    ]);
    expect(await samples(metrics, 'swarm_node_queue_seconds')).toEqual([
      `swarm_node_queue_seconds_count{${OF_ADDER}} 2`,
      `swarm_node_queue_seconds_sum{${OF_ADDER}} 0.05`,
    ]);
    expect(await samples(metrics, 'swarm_node_execute_seconds')).toEqual([
      `swarm_node_execute_seconds_count{${OF_ADDER}} 2`,
      `swarm_node_execute_seconds_sum{${OF_ADDER}} 0.012`,
    ]);
  });

  it.each([
    ['invalid', new InvalidInputError('a shape')],
    ['too-large', new LimitError('too many bytes')],
    ['forbidden', new ForbiddenError('not you')],
    ['not-found', new NotFoundError('not here')],
    ['loading', new LoadingError('not yet', null)],
    ['busy', new BusyError('not now', 100)],
    ['deadline', new DeadlineError('too late', 'queue')],
    ['execution', new ExecutionError('a crash')],
    ['internal', new TypeError('a fault of ours')],
  ])('call a failure %s when it is %s', async (outcome, error) => {
    const metrics = new NodeMetrics(IDLE);
    metrics.failed(ADDER, error);
    expect(await samples(metrics, 'swarm_node_requests_total')).toEqual([
      `swarm_node_requests_total{${OF_ADDER},outcome="${outcome}"} 1`,
    ]);
  });

  it('have no name for what is not held: callers make it up', async () => {
    const metrics = new NodeMetrics(IDLE);
    metrics.failed(undefined, new NotFoundError('not here'));
    expect(await samples(metrics, 'swarm_node_requests_total')).toEqual([
      'swarm_node_requests_total{model="",version="",outcome="not-found"} 1',
    ]);
  });

  it('tell what is held now, and nothing of what has left since', async () => {
    let replicas: readonly HeldVersion[] = [
      held('adder', { queue: { load: () => ({ inFlight: 2, queued: 3 }) } }),
      held('sleeper', { state: 'cold' }),
    ];
    const metrics = new NodeMetrics({ ...IDLE, replicas: () => replicas });
    expect(await samples(metrics, 'swarm_node_re')).toEqual([
      'swarm_node_replicas{state="cold"} 1',
      'swarm_node_replicas{state="loading"} 0',
      'swarm_node_replicas{state="quarantined"} 0',
      'swarm_node_replicas{state="ready"} 1',
      `swarm_node_requests_in_flight{${OF_ADDER}} 2`,
      `swarm_node_requests_queued{${OF_ADDER}} 3`,
    ]);
    replicas = [];
    expect(await samples(metrics, 'swarm_node_requests_')).toEqual([]);
    expect(await samples(metrics, 'swarm_node_replicas{state="ready"}')).toEqual([
      'swarm_node_replicas{state="ready"} 0',
    ]);
  });

  it('leave out the limit of a pool that nobody knows', async () => {
    const memory = [
      { pool: 'host', totalBytes: 1_000, usedBytes: 10 },
      { pool: 'gpu0', totalBytes: null, usedBytes: 20 },
    ];
    const metrics = new NodeMetrics({ ...IDLE, memory: () => memory });
    expect(await samples(metrics, 'swarm_node_memory')).toEqual([
      'swarm_node_memory_limit_bytes{pool="host"} 1000',
      'swarm_node_memory_used_bytes{pool="gpu0"} 20',
      'swarm_node_memory_used_bytes{pool="host"} 10',
    ]);
  });

  it('tell of the plan what is wanted, what there is, and what has no place and why', async () => {
    const plan = [
      planned('adder', {
        ...{ desired: 3, have: 1 },
        unplaceable: { count: 2, hindrance: 'memory', reason: 'no further node with 8 GiB' },
      }),
      planned('digits', {
        ...{ desired: 2, have: 1 },
        unplaceable: { count: 1, hindrance: 'not accepting', reason: 'every known node' },
      }),
    ];
    const metrics = new NodeMetrics({ ...IDLE, plan: () => plan });
    expect(await samples(metrics, 'swarm_replicas_')).toEqual([
      `swarm_replicas_desired{${OF_ADDER}} 3`,
      'swarm_replicas_desired{model="p/digits",version="digits-1"} 2',
      `swarm_replicas_have{${OF_ADDER}} 1`,
      'swarm_replicas_have{model="p/digits",version="digits-1"} 1',
      `swarm_replicas_unplaceable{${OF_ADDER},reason="memory"} 2`,
      'swarm_replicas_unplaceable{model="p/digits",version="digits-1",reason="not-accepting"} 1',
    ]);
  });

  it('label no more than 512 versions, and add up the others', async () => {
    const names = Array.from({ length: 514 }, (_, index) => `m${index}`);
    const metrics = new NodeMetrics({ ...IDLE, plan: () => names.map((name) => planned(name)) });
    for (const name of names) metrics.answered(originOf(name), { queueMs: 0, executeMs: 1 });
    const [requests, desired] = [
      await samples(metrics, 'swarm_node_requests_total'),
      await samples(metrics, 'swarm_replicas_desired'),
    ];
    expect(requests).toHaveLength(513);
    expect(requests).toContain(
      'swarm_node_requests_total{model="other",version="",outcome="answered"} 2',
    );
    expect(desired).toHaveLength(513);
    expect(desired).toContain('swarm_replicas_desired{model="other",version=""} 2');
  });
});
