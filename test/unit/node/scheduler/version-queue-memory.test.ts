import { expect, test } from 'vitest';
import { CoreTurns } from '../../../../node/backend/core-turns.ts';
import { ModelInstances } from '../../../../node/backend/model-instances.ts';
import { VersionQueue } from '../../../../node/scheduler/version-queue.ts';
import { Cancellation } from '../../../../protocols/inference/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { echoModel } from '../../../support/echo-model.ts';
import { FakeBackend } from '../../../support/fake-backend.ts';
import { grownBytes } from '../../../support/heap-growth.ts';
import { createModelFolder } from '../../../support/model-folder.ts';

/** Requests under way at a time. */
const TOGETHER = 32;

test.each([
  ['one after another', 1],
  ['in batches', TOGETHER],
])(
  'VersionQueue lets go of requests that run %s without a collection of all of the heap',
  async (_, maxRows) => {
    await using folder = await createModelFolder(
      echoModel({ x: { datatype: 'FP32', shape: ['n'] } }),
    );
    const backend = new FakeBackend({ provider: 'cpu' });
    const cores = { turns: new CoreTurns(1), version: 'v', threads: 1 };
    const loaded = await backend.load(folder.files);
    // At once: what it would wait for is not what is looked at.
    loaded.run = async (outputs, { onBegin }) => {
      onBegin?.();
      return { outputs, executeMs: 0 };
    };
    const model = new ModelInstances(loaded, cores);
    const batching = { axis: 0, maxRows, maxDelayMs: 0 };
    const queue = new VersionQueue(model, { maxQueued: 256, executionLimitMs: 10_000, batching });
    const growth = await grownBytes(2_048, async () => {
      const deadlineAtMs = performance.now() + 60_000;
      const inputs = [{ name: 'x', tensor: Tensor.from('FP32', [1], [1]) }];
      const ask = () =>
        queue.submit(inputs, { caller: 'a', deadlineAtMs, cancellation: new Cancellation() });
      await Promise.all(Array.from({ length: TOGETHER }, ask));
    });
    await backend.stop();
    // Of some hundred MB; with requests that are listeners themselves it keeps a fifth of them.
    expect(growth).toBeLessThan(8 * 1024 * 1024);
  },
);
