import { afterEach, describe, expect, test, vi } from 'vitest';
import { hostIsolation } from '../../node/backend/isolation.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { echoModel } from '../support/echo-model.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { childrenOf } from '../support/process-tree.ts';
import { createTestFolder } from '../support/test-folder.ts';

// Its trial starts processes of its own, once: not to be taken for a model's.
await hostIsolation();

const WAIT = { timeout: 10_000, interval: 1 };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Begins to load a model whose processes are killed from outside, the first `kills` of them while they load it. */
async function loadDisturbed(kills: number) {
  const folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: ['n'] } }));
  const work = await createTestFolder();
  const backend = createOnnxBackend({ threads: 1, workDir: work.path });
  cleanups.push(
    async () => work[Symbol.asyncDispose](),
    async () => folder[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  const load = backend.load(folder.files);
  // Looked at below: until then nobody hears it.
  load.catch(() => {});
  const killed = new Set<number>();
  for (let left = kills; left > 0; left -= 1) {
    const fresh = await vi.waitFor(async () => {
      const children = (await childrenOf(process.pid)).filter(({ pid }) => !killed.has(pid));
      expect(children).not.toEqual([]);
      return children;
    }, WAIT);
    for (const { pid } of fresh) killed.add(pid);
    // The first is our own child; where it has one, that goes with it.
    const [child] = fresh;
    if (child !== undefined) process.kill(child.pid, 'SIGKILL');
  }
  return load;
}

describe.skipIf(process.platform !== 'linux')(
  'a model whose process is killed from outside',
  () => {
    test('is loaded by another when it happens once', async () => {
      const model = await loadDisturbed(1);
      const x = Tensor.from('FP32', [2], [1, 2]);
      const { outputs } = await model.run([{ name: 'x', tensor: x }], { limitMs: 10_000 });
      expect(outputs[0]?.tensor.toArray()).toEqual([1, 2]);
    });

    test('is not loaded when it happens twice, and nothing is said against the model', async () => {
      await expect(loadDisturbed(2)).rejects.toMatchObject({
        code: 'ERR_EXECUTION',
        message: 'process was killed by SIGKILL while it loaded model.onnx',
      });
    });
  },
);
