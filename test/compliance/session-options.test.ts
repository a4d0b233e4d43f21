import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import type { SessionOptions } from '../../protocols/manifest/index.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { addModel } from '../support/models.ts';
import { createTestFolder } from '../support/test-folder.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function load(session: SessionOptions, threads: number): Promise<OnnxModel> {
  const folder = await createModelFolder(addModel());
  const work = await createTestFolder();
  const backend = createOnnxBackend({ threads, workDir: path.join(work.path, 'run') });
  cleanups.push(
    async () => work[Symbol.asyncDispose](),
    async () => folder[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  const model = await backend.load(folder.files, { session });
  if (!(model instanceof OnnxModel)) throw new Error('not a model of the ONNX backend');
  return model;
}

describe('The session options of a version', () => {
  it.each<SessionOptions>([
    {},
    { graphOptimizationLevel: 'disabled', memoryPattern: false },
    { graphOptimizationLevel: 'layout', memoryPattern: true, intraOpThreads: 1 },
  ])('are taken by ONNX Runtime, which answers the same: %j', async (session) => {
    const model = await load(session, 1);
    const x = { name: 'x', tensor: Tensor.from('FP32', [1, 4], [1, 2, 3, 4]) };
    const { outputs } = await model.run([x], { limitMs: 10_000 });
    expect(outputs[0]?.tensor.toArray()).toEqual([2, 3, 4, 5]);
  });

  it('do nothing that is not among them, whatever a manifest that got past its check may hold', async () => {
    const outside = await createTestFolder();
    cleanups.push(async () => outside[Symbol.asyncDispose]());
    const hostile = {
      graphOptimizationLevel: 'basic',
      optimizedModelFilePath: path.join(outside.path, 'optimised.onnx'),
      enableProfiling: true,
      profileFilePrefix: path.join(outside.path, 'profile'),
      executionProviders: ['no-such-provider'],
      externalData: [{ path: 'weights.bin', data: '/etc/passwd' }],
      // Each of these makes the runtime refuse the model, or load a library into the process.
      extra: { session: { disable_cpu_ep_fallback: '7' }, ep: { library: '/tmp/evil.so' } },
    } as unknown as SessionOptions;
    const model = await load(hostile, 1);
    const x = { name: 'x', tensor: Tensor.from('FP32', [1, 4], [1, 2, 3, 4]) };
    const { outputs } = await model.run([x], { limitMs: 10_000 });
    expect(outputs[0]?.tensor.toArray()).toEqual([2, 3, 4, 5]);
    expect(readdirSync(outside.path)).toEqual([]);
  });

  it('reach ONNX Runtime: it refuses a level that it does not know', async () => {
    const session = { graphOptimizationLevel: 'most' } as unknown as SessionOptions;
    await expect(load(session, 1)).rejects.toThrow(
      "'graphOptimizationLevel' is not supported: most",
    );
  });

  it.skipIf(process.platform !== 'linux')(
    "give a session as few threads as they say, and never more than the node's own (threads are counted on Linux only)",
    async () => {
      const count = async (intraOpThreads: number | undefined, own: number): Promise<number> => {
        const model = await load({ intraOpThreads }, own);
        return readdirSync(`/proc/${model.pid}/task`).length;
      };
      const few = await count(undefined, 1);
      expect(await count(undefined, 5)).toBe(few + 4);
      expect(await count(2, 5)).toBe(few + 1);
      expect(await count(5, 2)).toBe(few + 1);
    },
  );
});
