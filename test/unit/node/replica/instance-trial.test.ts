import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LoadedModel } from '../../../../node/backend/backend.ts';
import { CoreTurns } from '../../../../node/backend/core-turns.ts';
import { ModelInstances } from '../../../../node/backend/model-instances.ts';
import { tryInstances } from '../../../../node/replica/instance-trial.ts';
import { ExecutionError } from '../../../../protocols/errors.ts';
import { resolveDeployment } from '../../../../protocols/manifest/index.ts';
import type { TensorSpec } from '../../../../protocols/types.ts';

const SPEC: TensorSpec = { name: 'x', datatype: 'FP32', shape: [1, 4] };

/** A host whose processes take so long for one run, by their threads; `cores` of them run at once, however many there are. */
interface Host {
  readonly runMs: (threads: number) => number;
  readonly cores: number;
  /** Processes for which there is memory. @default all */
  readonly room?: number;
  readonly fails?: Error;
}

class Process implements Partial<LoadedModel> {
  readonly inputs = [SPEC];
  readonly outputs = [SPEC];
  readonly provider = 'cpu';
  readonly memoryBytes = 1;
  state: 'ready' | 'unloaded' = 'ready';
  readonly #host: Host;
  readonly #turns: CoreTurns;
  readonly threads: number;

  constructor(host: Host, turns: CoreTurns, threads: number) {
    this.#host = host;
    this.#turns = turns;
    this.threads = threads;
  }

  onStateChange(): void {}

  async run() {
    if (this.#host.fails !== undefined) throw this.#host.fails;
    const turn = await this.#turns.take('host', this.threads);
    const runMs = this.#host.runMs(this.threads);
    await new Promise((resolve) => setTimeout(resolve, runMs));
    turn.release();
    return { outputs: [], executeMs: 1 };
  }

  async unload(): Promise<void> {
    this.state = 'unloaded';
  }
}

/** Time is the test's own: what a busy machine adds to a run would be taken for the run's. */
async function whileTimePasses<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const ended = work.finally(() => (over = true)).catch(() => undefined);
  while (!over) await vi.advanceTimersByTimeAsync(1);
  await ended;
  return work;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Tries a version that may have so many threads on a host, and says what is left of its processes. */
async function tryOn(host: Host, cores: number, threads: number, latencyObjectiveMs?: number) {
  const hardware = new CoreTurns(host.cores);
  const turns = new CoreTurns(cores);
  const processes: Process[] = [];
  const start = (count: number): LoadedModel => {
    const process = new Process(host, hardware, count);
    processes.push(process);
    return process;
  };
  const instances = (first: LoadedModel, count: number) =>
    new ModelInstances(first, { turns, version: 'v', threads: count });
  const trying = tryInstances(
    instances(start(threads), threads),
    {
      deployment: resolveDeployment({
        ...(latencyObjectiveMs === undefined ? {} : { latencyObjectiveMs }),
      }),
      cores,
      loadMs: 1,
      signal: new AbortController().signal,
    },
    {
      load: async (count) =>
        processes.length < (host.room ?? Number.POSITIVE_INFINITY) ? start(count) : undefined,
      instances,
    },
  );
  const { finding, model } = await whileTimePasses(trying);
  const left = processes.filter(({ state }) => state === 'ready');
  expect(left).toHaveLength(model.size);
  expect(turns.busy).toBe(0);
  return { finding, left: left.map((process) => process.threads) };
}

describe('tryInstances', () => {
  test('gives a version of one thread a process for each core where that gets more done', async () => {
    const { left, finding } = await tryOn({ runMs: () => 20, cores: 4 }, 4, 1);
    expect(left).toEqual([1, 1, 1, 1]);
    expect(finding).toMatchObject({ instances: 4, threads: 1, reason: '4 cores are the bound' });
  });

  test('stops where more processes get no more done, and takes back the last of them', async () => {
    const { left } = await tryOn({ runMs: () => 20, cores: 2 }, 8, 1);
    expect(left).toEqual([1, 1]);
  });

  test('leaves one process of all threads where one thread would make who asks alone wait', async () => {
    const { left, finding } = await tryOn({ runMs: (threads) => 60 / threads, cores: 4 }, 4, 4);
    expect(left).toEqual([4]);
    expect(finding.reason).toMatch(/^who asks alone would wait \d+\.\d ms instead of \d+\.\d$/);
  });

  test("takes one thread each all the same where that is within the publisher's objective", async () => {
    // Threads that gain half of what they could, as most do.
    const runMs = (threads: number) => (threads === 1 ? 40 : 25);
    const { left, finding } = await tryOn({ runMs, cores: 4 }, 4, 4, 1000);
    expect(left).toEqual([1, 1, 1, 1]);
    expect(finding).toMatchObject({ instances: 4, threads: 1 });
  });

  test('takes one thread each where threads do not help, and only as many as there is memory for', async () => {
    const { left, finding } = await tryOn({ runMs: () => 20, cores: 4, room: 4 }, 4, 4);
    expect(left).toEqual([1, 1, 1]);
    expect(finding.reason).toBe('there is no memory for more processes');
  });

  test('tries nothing where models may use one core', async () => {
    const { left, finding } = await tryOn({ runMs: () => 20, cores: 4 }, 1, 1);
    expect(left).toEqual([1]);
    expect(finding.reason).toBe('models may use one core');
  });

  test('leaves a version as it comes that made-up inputs end, and runs no further one', async () => {
    const fails = new ExecutionError('killed by SIGFPE', { details: { endedProcess: true } });
    const { left, finding } = await tryOn({ runMs: () => 20, cores: 4, fails }, 4, 1);
    expect(left).toEqual([1]);
    expect(finding).toMatchObject({ instances: 1, reason: 'killed by SIGFPE' });
  });
});
