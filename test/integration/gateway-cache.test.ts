import { expect, it } from 'vitest';
import { addModel } from '../support/models.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { createTestnet } from '../support/testnet.ts';

/** What {@link addModel} answers, so that its answers may be kept. */
const golden = (offset: number) => ({
  'golden.json': JSON.stringify({
    cases: [
      {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [0, 0, 0, 0] }],
        outputs: [
          { name: 'sum', datatype: 'FP32', shape: [1, 4], data: [offset, offset, offset, offset] },
        ],
      },
    ],
  }),
});

it('A gateway answers what it kept until another version is released, of models that were named and have golden vectors alone', async () => {
  await using testnet = await createTestnet({ nodes: 1, clients: 0 });
  const { publisher } = await testnet.publish(addModel(1), { name: 'kept', files: golden(1) });
  await testnet.publish(addModel(2), { name: 'other', files: golden(2) });
  await testnet.publish(addModel(3), { name: 'untold' });
  await using gateway = await startTestGateway(testnet, {
    cache: { models: [`${publisher}/kept`, `${publisher}/untold`], maxBytes: 100_000 },
  });
  const infer = async (name: string, data = [1, 2, 3, 4]) => {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 4], data }];
    const response = await fetch(`${gateway.http}/v2/models/${name}/infer`, {
      method: 'POST',
      body: JSON.stringify({ id: 'mine', inputs }),
    });
    const { id, outputs, parameters } = (await response.json()) as {
      id: string;
      outputs: { data: number[] }[];
      parameters: { cached?: boolean; version: string };
    };
    return { id, sum: outputs[0]?.data, cached: parameters.cached ?? false };
  };
  const first = { id: 'mine', sum: [2, 3, 4, 5] };
  expect(await infer('kept')).toEqual({ ...first, cached: false });
  expect(await infer('kept')).toEqual({ ...first, cached: true });
  expect(await infer('kept', [0, 0, 0, 0])).toMatchObject({ sum: [1, 1, 1, 1], cached: false });
  const other = { id: 'mine', sum: [3, 4, 5, 6], cached: false };
  for (const _ of [1, 2]) expect(await infer('other')).toEqual(other);
  const untold = { id: 'mine', sum: [4, 5, 6, 7], cached: false };
  for (const _ of [1, 2]) expect(await infer('untold')).toEqual(untold);

  const stats = await fetch(`${gateway.http}/v2/models/kept/stats`);
  expect(await stats.json()).toMatchObject({
    model_stats: [
      {
        inference_count: 2,
        execution_count: 2,
        inference_stats: {
          success: { count: 3 },
          compute_infer: { count: 2 },
          cache_hit: { count: 1 },
          cache_miss: { count: 2 },
        },
      },
    ],
  });
  const metrics = await (await fetch(gateway.metrics)).text();
  expect(metrics).toContain(
    `swarm_gateway_cache_lookups_total{model="${publisher}/kept",outcome="hit"} 1`,
  );
  expect(metrics).toMatch(/swarm_gateway_cache_bytes [1-9]/);

  await testnet.publish(addModel(10), { name: 'kept', files: golden(10) });
  await expect
    .poll(() => infer('kept'), { timeout: 20_000 })
    .toEqual({ id: 'mine', sum: [11, 12, 13, 14], cached: false });
});
