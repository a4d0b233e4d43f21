import { describe, expect, test, vi } from 'vitest';
import {
  DeviceProber,
  type DeviceProberComponents,
  type DeviceProberInit,
} from '../../../../node/device/device-prober.ts';
import type { NvidiaGpu } from '../../../../node/device/nvidia-smi.ts';
import type { ProviderTrial } from '../../../../node/device/provider-trial.ts';
import { ConfigError, ExecutionError, InvalidModelError } from '../../../../protocols/errors.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const GPU: NvidiaGpu = {
  index: 0,
  uuid: 'GPU-1',
  name: 'NVIDIA H100',
  memoryBytes: 80 * 1024 ** 3,
  freeBytes: 79 * 1024 ** 3,
  busyPercent: 0,
  driverVersion: '550',
};

/** Providers of a host and what each answers: numbers, or the error it fails with. */
type Host = Readonly<Record<string, readonly number[] | Error>>;

function trialOf(host: Host, asked: string[] = []): ProviderTrial {
  return async (provider) => {
    asked.push(provider);
    const answer = host[provider];
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('not built in');
    const runtimeProviders = [...Object.keys(host), 'xnnpack'];
    return { values: Float32Array.from(answer), executeMs: 1, runtimeProviders };
  };
}

interface Told {
  readonly level: 'info' | 'warn';
  readonly fields: object;
  readonly message: string;
}

async function prepare(
  components: Partial<DeviceProberComponents>,
  init: Pick<DeviceProberInit, 'isolation'> = {},
) {
  const folder = await createTestFolder();
  const told: Told[] = [];
  const note = (level: Told['level']) => (fields: unknown, message?: string) => {
    told.push({ level, fields: fields as object, message: message ?? '' });
  };
  const logger = { info: note('info'), warn: note('warn') };
  const create = (changed: Partial<DeviceProberComponents> = {}) =>
    new DeviceProber(
      { cacheDir: folder.path, logger, ...init },
      {
        queryGpus: async () => [],
        queryProcesses: async () => [],
        hasGpuSign: async () => false,
        ...components,
        ...changed,
      },
    );
  return {
    told,
    create,
    async [Symbol.asyncDispose]() {
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Starts a prober and waits until its trials are over. */
async function probe(prober: DeviceProber): Promise<number> {
  let changes = 0;
  prober.start(() => {
    changes += 1;
  });
  await prober.settled;
  return changes;
}

describe.skipIf(process.platform !== 'linux')('DeviceProber', () => {
  test('describes the CPU before it begins', async () => {
    await using under = await prepare({ trial: trialOf({ cpu: [1] }) });
    const prober = under.create();
    expect(prober.devices).toEqual([
      {
        kind: 'cpu',
        name: expect.any(String),
        memoryBytes: expect.any(Number),
        providers: ['cpu'],
      },
    ]);
    await expect(prober.providers()).resolves.toEqual(['cpu']);
  });

  test('announces a GPU with the providers that answer as the CPU does, and loads on the best', async () => {
    const asked: string[] = [];
    await using under = await prepare({
      trial: trialOf({ cpu: [1, 2], webgpu: [1, 2.0005], cuda: [1.0001, 2] }, asked),
      queryGpus: async () => [GPU],
    });
    const prober = under.create();
    expect(await probe(prober)).toBe(1);
    expect(asked).toEqual(['cpu', 'cuda', 'webgpu']);
    expect(prober.devices).toMatchObject([
      { kind: 'gpu', name: GPU.name, memoryBytes: GPU.memoryBytes, providers: ['cuda', 'webgpu'] },
      { kind: 'cpu', providers: ['cpu'] },
    ]);
    await expect(prober.providers()).resolves.toEqual(['cuda', 'webgpu', 'cpu']);
  });

  test('tries TensorRT after the others, and announces it only where it works', async () => {
    for (const works of [true, false]) {
      const asked: string[] = [];
      const tensorrt = works ? [1] : new ExecutionError('libnvinfer.so.10: cannot open');
      await using under = await prepare({
        trial: trialOf({ cpu: [1], cuda: [1], tensorrt }, asked),
        queryGpus: async () => [GPU],
      });
      const prober = under.create();
      await probe(prober);
      expect(asked).toEqual(['cpu', 'cuda', 'tensorrt']);
      const providers = works ? ['cuda', 'tensorrt'] : ['cuda'];
      expect(prober.devices).toMatchObject([{ name: GPU.name, providers }, { kind: 'cpu' }]);
    }
  });

  test('announces several GPUs as so many devices, each with the providers that work on it, and pins models to one', async () => {
    const second = { ...GPU, index: 1, uuid: 'GPU-2', name: 'NVIDIA GTX 680', freeBytes: null };
    const third = { ...GPU, index: 2, uuid: 'GPU-3', name: 'NVIDIA T4' };
    const asked: string[] = [];
    await using under = await prepare({
      queryGpus: async () => [GPU, second, third],
      trial: async (provider, signal, device) => {
        asked.push(device === undefined ? provider : `${provider} on ${device}`);
        const works = device !== 'GPU-2';
        return trialOf({ cpu: [1], webgpu: [1], ...(works ? { cuda: [1] } : {}) })(
          provider === 'cuda' && !works ? 'absent' : provider,
          signal,
        ).then((result) => ({ ...result, runtimeProviders: ['cpu', 'webgpu', 'cuda'] }));
      },
    });
    const prober = under.create();
    await probe(prober);
    expect(asked).toEqual(['cpu', 'cuda on GPU-1', 'cuda on GPU-2', 'cuda on GPU-3', 'webgpu']);
    expect(prober.devices).toMatchObject([
      { name: GPU.name, providers: ['cuda', 'webgpu'], freeBytes: GPU.freeBytes, busyPercent: 0 },
      { name: 'NVIDIA T4', providers: ['cuda'] },
      { kind: 'cpu' },
    ]);
    const { gpus } = prober;
    expect(gpus.poolsOf('cuda')).toEqual(['gpu0', 'gpu1']);
    expect(gpus.poolsOf('webgpu')).toEqual([]);
    expect(gpus.pinOf('gpu1')).toBe('GPU-3');
    await prober.stop();
  });

  test('looks at its GPUs and at the processes on them as soon as it knows that they work', async () => {
    const looks = [[GPU], [{ ...GPU, freeBytes: 1, busyPercent: 100 }]];
    await using under = await prepare({
      trial: trialOf({ cpu: [1], cuda: [1] }),
      queryGpus: async () => looks.shift() ?? [],
      queryProcesses: async () => [{ pid: 42, memoryBytes: 7 }],
    });
    const prober = under.create();
    await probe(prober);
    await vi.waitFor(() => expect(prober.gpus.bytesOf(42)).toBe(7));
    expect(prober.devices[0]).toMatchObject({ freeBytes: 1, busyPercent: 100 });
    await prober.stop();
  });

  test('leaves out a provider that fails or answers otherwise, and says why', async () => {
    await using under = await prepare({
      trial: trialOf({
        cpu: [1, 2],
        cuda: new InvalidModelError('Failed to load shared library'),
        webgpu: [1, 2.25],
      }),
      queryGpus: async () => [GPU],
    });
    const prober = under.create();
    expect(await probe(prober)).toBe(0);
    expect(prober.devices).toMatchObject([{ kind: 'cpu', providers: ['cpu'] }]);
    await expect(prober.providers()).resolves.toEqual(['cpu']);
    const reasons = under.told.filter(({ message }) => message.includes('does not work here'));
    expect(reasons).toMatchObject([
      { level: 'info', fields: { provider: 'cuda', reason: 'Failed to load shared library' } },
      {
        level: 'info',
        fields: {
          provider: 'webgpu',
          reason: 'element 1 is 2.25, the CPU says 2',
        },
      },
    ]);
  });

  test('tries nothing but the CPU where no GPU is: what works there all the same is slower', async () => {
    const asked: string[] = [];
    await using under = await prepare({ trial: trialOf({ cpu: [1], webgpu: [1] }, asked) });
    const prober = under.create();
    await probe(prober);
    expect(asked).toEqual(['cpu']);
    expect(prober.devices).toMatchObject([{ kind: 'cpu', providers: ['cpu'] }]);
    await expect(prober.providers()).resolves.toEqual(['cpu']);
  });

  test('a GPU that no tool names is announced without memory', async () => {
    await using under = await prepare({
      trial: trialOf({ cpu: [1], webgpu: [1] }),
      hasGpuSign: async () => true,
    });
    const prober = under.create();
    await probe(prober);
    expect(prober.devices[0]).toEqual({
      kind: 'gpu',
      name: 'GPU',
      memoryBytes: null,
      providers: ['webgpu'],
    });
  });

  test('does not try again what a former start found, until the driver changes', async () => {
    const asked: string[] = [];
    const trial = trialOf({ cpu: [1], cuda: [1] }, asked);
    await using under = await prepare({ trial, queryGpus: async () => [GPU] });
    await probe(under.create());
    const second = under.create();
    await probe(second);
    expect(asked).toEqual(['cpu', 'cuda']);
    await expect(second.providers()).resolves.toEqual(['cuda', 'cpu']);
    await probe(under.create({ queryGpus: async () => [{ ...GPU, driverVersion: '560' }] }));
    expect(asked).toEqual(['cpu', 'cuda', 'cpu', 'cuda']);
  });

  test('a host without the runtime announces no provider, and is asked again at the next start', async () => {
    const asked: string[] = [];
    const trial = trialOf({ cpu: new ConfigError('onnxruntime-node is not installed') }, asked);
    await using under = await prepare({ trial });
    const prober = under.create();
    expect(await probe(prober)).toBe(1);
    expect(prober.devices).toMatchObject([{ kind: 'cpu', providers: [] }]);
    await probe(under.create());
    expect(asked).toEqual(['cpu', 'cpu']);
  });

  test('what works with the files of the host only is used with them, and the log says so; the CPU has to do without', async () => {
    const asked: string[] = [];
    const host = { cpu: [1], cuda: [1], webgpu: [1] };
    await using under = await prepare(
      {
        queryGpus: async () => [GPU],
        trial: async (provider, signal, device, hostFiles = false) => {
          asked.push(hostFiles ? `${provider} with files` : provider);
          if (provider === 'cuda' && !hostFiles) throw new ExecutionError('no /var/lib/driver');
          if (provider === 'webgpu') throw new ExecutionError('no GPU');
          return trialOf(host)(provider, signal, device);
        },
      },
      { isolation: { kind: 'namespaces', launcher: [], confine: () => [] } },
    );
    for (const prober of [under.create(), under.create()]) {
      await probe(prober);
      expect(await prober.providers()).toEqual(['cuda', 'cpu']);
      expect(prober.needsHostFiles('cuda')).toBe(true);
      expect(prober.needsHostFiles('cpu')).toBe(false);
    }
    // The second one knew it from the first.
    expect(asked).toEqual(['cpu', 'cuda', 'cuda with files', 'webgpu', 'webgpu with files']);
    expect(under.told.map(({ message }) => message)).toContain(
      'execution provider works with the files of the host only',
    );
  });

  test('loads wait for the trials where there is a GPU, and not where there is none', async () => {
    const held = Promise.withResolvers<void>();
    const slow: ProviderTrial = async (provider, signal) => {
      await held.promise;
      return trialOf({ cpu: [1], cuda: [1] })(provider, signal);
    };
    await using under = await prepare({ trial: slow });
    const without = under.create();
    without.start(() => {});
    await expect(without.providers()).resolves.toEqual(['cpu']);

    const withGpu = under.create({ queryGpus: async () => [GPU] });
    withGpu.start(() => {});
    let answered = false;
    const providers = withGpu.providers().then((found) => {
      answered = true;
      return found;
    });
    const abort = new AbortController();
    const impatient = withGpu.providers({ signal: abort.signal });
    const reason = new Error('not wanted any more');
    abort.abort(reason);
    await expect(impatient).rejects.toBe(reason);
    expect(answered).toBe(false);
    held.resolve();
    await expect(providers).resolves.toEqual(['cuda', 'cpu']);
    await Promise.all([without.settled, withGpu.settled]);
  });

  test('stopping ends a trial under way, and no load waits for it any more', async () => {
    await using under = await prepare({
      queryGpus: async () => [GPU],
      trial: async (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    });
    const prober = under.create();
    const changed = vi.fn<() => void>();
    prober.start(changed);
    const providers = prober.providers();
    await prober.stop();
    await prober.stop();
    await expect(providers).resolves.toEqual(['cpu']);
    expect(changed).not.toHaveBeenCalled();
    expect(under.told).toEqual([]);
  });
});
