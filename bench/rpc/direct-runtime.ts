import os from 'node:os';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FLOAT_BYTES } from './model.ts';
import type { Transport } from './transport.ts';

/** The floor: ONNX Runtime in the caller's own process, with the settings of the executor's sessions. */
export const directRuntime: Transport = {
  async serve() {
    throw new Error('the direct runtime has no server');
  },

  /** The address is the model's file. */
  async connect(address) {
    const session = await InferenceSession.create(address, {
      executionProviders: [{ name: 'cpu' }],
      executionMode: 'sequential',
      intraOpNumThreads: Math.max(1, os.availableParallelism() - 1),
      interOpNumThreads: 1,
      enableCpuMemArena: false,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    return {
      call: async (payload) => {
        const length = payload.byteLength / FLOAT_BYTES;
        const values = new Float32Array(payload.buffer, payload.byteOffset, length);
        const { y } = await session.run({ x: new Tensor('float32', values, [length]) });
        if (y === undefined) throw new Error("expected output 'y', found none");
        const { buffer, byteOffset, byteLength } = y.data as Float32Array;
        return new Uint8Array(buffer, byteOffset, byteLength);
      },
      close: async () => session.release(),
    };
  },
};
