import { describe } from 'vitest';
import type { LoadedModel } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { FakeBackend, FakeModel } from '../support/fake-backend.ts';
import { PacedBackend, PacedModel } from '../support/paced-backend.ts';
import { tests } from './backend.suite.ts';

describe('OnnxBackend', () => {
  tests({
    setup: () => ({
      backend: createOnnxBackend({ threads: 1 }),
      kill: (model: LoadedModel) => {
        if (!(model instanceof OnnxModel) || model.pid === undefined) throw new Error('no process');
        process.kill(model.pid, 'SIGKILL');
      },
    }),
  });
});

describe('PacedBackend', () => {
  tests({
    setup: () => ({
      backend: new PacedBackend(createOnnxBackend({ threads: 1 }), (beginMs) => beginMs + 2),
      kill: (model: LoadedModel) => {
        const pid = model instanceof PacedModel ? model.pid : undefined;
        if (pid === undefined) throw new Error('no process');
        process.kill(pid, 'SIGKILL');
      },
    }),
  });
});

describe('FakeBackend', () => {
  tests({
    setup: () => ({
      backend: new FakeBackend(),
      kill: (model: LoadedModel) => {
        if (!(model instanceof FakeModel)) throw new Error('not a fake model');
        model.kill();
      },
    }),
  });
});
