import { describe, expect, test } from 'vitest';
import type { LoadedModel } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { queryNvidiaGpus } from '../../node/device/nvidia-smi.ts';
import { tests } from '../compliance/backend.suite.ts';
import { findGpuProviders } from '../support/gpu-providers.ts';

const { working, devices, findings } = await findGpuProviders();

test(`DeviceProber finds an execution provider besides the CPU's (${findings.join('; ')})`, () => {
  expect(working, findings.join('\n')).not.toEqual([]);
});

test('DeviceProber announces the GPU with the name and memory that its driver says', async () => {
  const [gpu] = await queryNvidiaGpus();
  const expected = {
    kind: 'gpu',
    name: gpu?.name ?? 'GPU',
    memoryBytes: gpu?.memoryBytes ?? null,
    providers: working,
  };
  expect(devices).toContainEqual(expect.objectContaining(expected));
});

describe.each(working)('OnnxBackend on %s', (provider) => {
  tests({
    setup: () => ({
      backend: createOnnxBackend({ threads: 1, providers: [provider] }),
      kill: (model: LoadedModel) => {
        if (!(model instanceof OnnxModel) || model.pid === undefined) throw new Error('no process');
        process.kill(model.pid, 'SIGKILL');
      },
    }),
  });
});
