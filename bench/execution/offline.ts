/** The limit, in a process of its own: ONNX Runtime alone, called with batches that lie ready. */
import os from 'node:os';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DEFAULT_NICENESS } from '../../node/backend/onnx-init.ts';
import { answerQuestions } from '../worker.ts';
import { pinToExecutorCore } from './pin.ts';

export interface OfflineBatch {
  readonly batch: number;
  readonly itemsPerSecond: number;
}

export type OfflineQuestions = {
  readonly open: { readonly ask: { readonly file: string }; readonly answer: null };
  readonly measure: {
    readonly ask: {
      readonly itemShape: readonly number[];
      readonly batch: number;
      readonly seconds: number;
    };
    readonly answer: OfflineBatch;
  };
};

let session: InferenceSession | undefined;

answerQuestions<OfflineQuestions>(
  {
    async open({ file }) {
      session = await InferenceSession.create(file, {
        executionProviders: ['cpu'],
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        enableCpuMemArena: false,
        extra: { session: { intra_op: { allow_spinning: '0' } } },
      });
      await pinToExecutorCore(process.pid);
      // As the executor's: what else runs on the core must take as much from both.
      os.setPriority(DEFAULT_NICENESS);
      return null;
    },
    async measure({ itemShape, batch, seconds }) {
      if (session === undefined) throw new Error('expected open before measure');
      const shape = [batch, ...itemShape];
      const count = shape.reduce((product, size) => product * size, 1);
      const values = Float32Array.from({ length: count }, (_, index) => Math.sin(index));
      const x = new Tensor('float32', values, shape);
      await session.run({ x });
      const start = performance.now();
      let runs = 0;
      while (performance.now() - start < seconds * 1000) {
        await session.run({ x });
        runs += 1;
      }
      return { batch, itemsPerSecond: (runs * batch * 1000) / (performance.now() - start) };
    },
  },
  async () => session?.release(),
);
