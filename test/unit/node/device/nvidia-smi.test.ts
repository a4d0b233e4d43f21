import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseNvidiaSmi, queryNvidiaGpus } from '../../../../node/device/nvidia-smi.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const MIB = 1024 * 1024;

describe('parseNvidiaSmi', () => {
  test('reads one GPU a line', () => {
    const output =
      '0, 24564, 550.54.14, NVIDIA GeForce RTX 4090\n1, 81559, 550.54.14, NVIDIA H100\n';
    expect(parseNvidiaSmi(output)).toEqual([
      {
        index: 0,
        name: 'NVIDIA GeForce RTX 4090',
        memoryBytes: 24_564 * MIB,
        driverVersion: '550.54.14',
      },
      { index: 1, name: 'NVIDIA H100', memoryBytes: 81_559 * MIB, driverVersion: '550.54.14' },
    ]);
  });

  test.each(['[N/A]', 'N/A', '[Not Supported]', '[Unknown Error]', '', '0'])(
    'memory of %j is unknown, not 0: the GPU shares the host’s',
    (memory) => {
      const gpus = parseNvidiaSmi(`0, ${memory}, 580.95, NVIDIA GB10\r\n`);
      expect(gpus).toMatchObject([{ name: 'NVIDIA GB10', memoryBytes: null }]);
    },
  );

  test('keeps a comma in a name', () => {
    expect(parseNvidiaSmi('0, 1, 2, Tesla, reworked')[0]?.name).toBe('Tesla, reworked');
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

describe.skipIf(process.platform === 'win32')('queryNvidiaGpus', () => {
  async function query(script: string, signal?: AbortSignal) {
    await using folder = await createTestFolder();
    const command = path.join(folder.path, 'nvidia-smi');
    await writeFile(command, `#!/bin/sh\n${script}\n`);
    await chmod(command, 0o755);
    return await queryNvidiaGpus({ command, signal });
  }

  test('asks the program for what it then reads', async () => {
    const asked =
      '--query-gpu=index,memory.total,driver_version,name --format=csv,noheader,nounits';
    const gpus = await query(`[ "$*" = "${asked}" ] && echo "0, 16, 1.2, NVIDIA T4"`);
    expect(gpus).toEqual([
      { index: 0, name: 'NVIDIA T4', memoryBytes: 16 * MIB, driverVersion: '1.2' },
    ]);
  });

  test('finds none where the program is absent, fails, or floods', async () => {
    await expect(queryNvidiaGpus({ command: '/nonexistent/nvidia-smi' })).resolves.toEqual([]);
    await expect(query('echo "0, 16, 1.2, GPU"; exit 9')).resolves.toEqual([]);
    await expect(query('yes "0, 16, 1.2, GPU"')).resolves.toEqual([]);
  });

  test('ends a program that hangs when its signal aborts', async () => {
    await expect(query('exec sleep 600', AbortSignal.timeout(50))).resolves.toEqual([]);
  });
});
