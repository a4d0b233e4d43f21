import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  parseGpuProcesses,
  parseMigInstances,
  parseNvidiaSmi,
  queryGpuProcesses,
  queryNvidiaGpus,
  visibleGpus,
} from '../../../../node/device/nvidia-smi.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const MIB = 1024 * 1024;

const line = (memory: string, free = '100', busy = '5', mig = ', [N/A]', name = 'NVIDIA GB10') =>
  `0, GPU-aa, ${memory}, ${free}, ${busy}${mig}, 580.95, ${name}`;

describe('parseNvidiaSmi', () => {
  test('reads one GPU a line, from drivers that know of MIG and from those that do not', () => {
    const output = `0, GPU-aa, 24564, 24000, 7, [N/A], 550.54.14, NVIDIA GeForce RTX 4090\n1, GPU-bb, 81559, 0, 100, 470.1, NVIDIA H100\n`;
    expect(parseNvidiaSmi(output)).toEqual([
      {
        mig: false,
        gpu: {
          index: 0,
          uuid: 'GPU-aa',
          name: 'NVIDIA GeForce RTX 4090',
          memoryBytes: 24_564 * MIB,
          freeBytes: 24_000 * MIB,
          busyPercent: 7,
          driverVersion: '550.54.14',
        },
      },
      {
        mig: false,
        gpu: {
          index: 1,
          uuid: 'GPU-bb',
          name: 'NVIDIA H100',
          memoryBytes: 81_559 * MIB,
          freeBytes: 0,
          busyPercent: 100,
          driverVersion: '470.1',
        },
      },
    ]);
  });

  test.each(['[N/A]', 'N/A', '[Not Supported]', '[Unknown Error]', '', '0'])(
    'memory of %j is unknown, not 0: the GPU shares the host’s',
    (memory) => {
      expect(parseNvidiaSmi(`${line(memory)}\r\n`)).toMatchObject([
        { gpu: { name: 'NVIDIA GB10', memoryBytes: null, freeBytes: 100 * MIB } },
      ]);
    },
  );

  test.each(['[N/A]', '[Not Supported]', '', '-1', '101'])(
    'free memory and use of %j are unknown, and 0 is 0',
    (text) => {
      const free = text === '101' ? '[N/A]' : text;
      expect(parseNvidiaSmi(line('16', free, text))).toMatchObject([
        { gpu: { freeBytes: null, busyPercent: null } },
      ]);
      expect(parseNvidiaSmi(line('16', '0', '0'))).toMatchObject([
        { gpu: { freeBytes: 0, busyPercent: 0 } },
      ]);
    },
  );

  test('keeps a comma in a name', () => {
    const [found] = parseNvidiaSmi(line('1', '1', '1', ', Disabled', 'Tesla, reworked'));
    expect(found).toMatchObject({ mig: false, gpu: { name: 'Tesla, reworked' } });
  });

  test.each([
    '',
    'No devices were found\n',
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver, a, b, c\n",
    '0, 1, 2\n',
  ])('finds no GPU in %j', (output) => {
    expect(parseNvidiaSmi(output)).toEqual([]);
  });
});

const LIST = `GPU 0: NVIDIA A100 (UUID: GPU-aa)
  MIG 1g.10gb     Device  0: (UUID: MIG-1)
  MIG 3g.40gb     Device  1: (UUID: MIG-2)
GPU 1: NVIDIA T4 (UUID: GPU-bb)
`;

test('parseMigInstances reads the parts of each GPU', () => {
  expect(parseMigInstances(LIST)).toEqual([
    { gpuUuid: 'GPU-aa', uuid: 'MIG-1', profile: '1g.10gb' },
    { gpuUuid: 'GPU-aa', uuid: 'MIG-2', profile: '3g.40gb' },
  ]);
  expect(parseMigInstances('')).toEqual([]);
});

test('parseGpuProcesses reads one process a line, memory unknown where the driver does not say', () => {
  expect(parseGpuProcesses('12, 300\n13, [N/A]\n[Insufficient Permissions], 1\n')).toEqual([
    { pid: 12, memoryBytes: 300 * MIB },
    { pid: 13, memoryBytes: null },
  ]);
});

describe('visibleGpus', () => {
  const gpus = parseNvidiaSmi(
    [0, 1, 2].map((index) => `${index}, GPU-${index}a, 1, 1, 1, 550, GPU`).join('\n'),
  ).map(({ gpu }) => gpu);
  test.each([
    [undefined, [0, 1, 2]],
    ['', []],
    ['2,0', [2, 0]],
    ['GPU-1', [1]],
    ['1,-1,2', [1]],
    ['NoDevFiles', []],
  ])('CUDA_VISIBLE_DEVICES %j leaves %j', (visible, left) => {
    expect(visibleGpus(gpus, visible).map(({ index }) => index)).toEqual(left);
  });
});

describe.skipIf(process.platform === 'win32')('queryNvidiaGpus', () => {
  async function inFolder<T>(script: string, use: (command: string) => Promise<T>): Promise<T> {
    await using folder = await createTestFolder();
    const command = path.join(folder.path, 'nvidia-smi');
    await writeFile(command, `#!/bin/sh\n${script}\n`);
    await chmod(command, 0o755);
    return await use(command);
  }
  const query = async (script: string, signal?: AbortSignal) =>
    inFolder(script, async (command) => queryNvidiaGpus({ command, signal }));

  test('asks the program for what it then reads', async () => {
    const asked =
      '--query-gpu=index,uuid,memory.total,memory.free,utilization.gpu,mig.mode.current,driver_version,name --format=csv,noheader,nounits';
    const gpus = await query(`[ "$*" = "${asked}" ] && echo "${line('16')}"`);
    expect(gpus).toMatchObject([{ name: 'NVIDIA GB10', memoryBytes: 16 * MIB, uuid: 'GPU-aa' }]);
  });

  test('asks an old driver again without what it does not know', async () => {
    const gpus = await query(
      `case "$*" in *mig*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; esac; echo "${line('16', '1', '1', '')}"`,
    );
    expect(gpus).toMatchObject([{ memoryBytes: 16 * MIB, driverVersion: '580.95' }]);
  });

  test('gives the parts of a GPU that MIG divides, none of whose figures are the GPU’s', async () => {
    const gpus = await query(
      `[ "$1" = -L ] && { cat <<'END'\n${LIST}END\nexit; }; echo "${line('81920', '100', '[N/A]', ', Enabled', 'NVIDIA A100')}"`,
    );
    const unknown = { memoryBytes: null, freeBytes: null, busyPercent: null };
    expect(gpus).toMatchObject([
      { uuid: 'MIG-1', name: 'NVIDIA A100 MIG 1g.10gb', ...unknown },
      { uuid: 'MIG-2', name: 'NVIDIA A100 MIG 3g.40gb', ...unknown },
    ]);
  });

  test('finds none where the program is absent, fails, or floods', async () => {
    await expect(queryNvidiaGpus({ command: '/nonexistent/nvidia-smi' })).resolves.toEqual([]);
    await expect(query(`echo "${line('16')}"; exit 9`)).resolves.toEqual([]);
    await expect(query(`yes "${line('16')}"`)).resolves.toEqual([]);
  });

  test('ends a program that hangs when its time is over or its signal aborts', async () => {
    await expect(query('exec sleep 600', AbortSignal.timeout(50))).resolves.toEqual([]);
    const hung = inFolder('exec sleep 600', async (command) =>
      queryNvidiaGpus({ command, timeoutMs: 50 }),
    );
    await expect(hung).resolves.toEqual([]);
  });

  test('knows nothing of processes where the driver does not answer, rather than that there are none', async () => {
    await expect(queryGpuProcesses({ command: '/nonexistent/nvidia-smi' })).resolves.toBeNull();
    const processes = inFolder(
      `[ "$1" = --query-compute-apps=pid,used_memory ] && echo "7, 1"`,
      async (command) => queryGpuProcesses({ command }),
    );
    await expect(processes).resolves.toEqual([{ pid: 7, memoryBytes: MIB }]);
  });
});
