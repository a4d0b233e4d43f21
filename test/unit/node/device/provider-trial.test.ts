import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProviderTrial } from '../../../../node/device/provider-trial.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('createProviderTrial', () => {
  test('runs the model on the CPU, and tells which providers the runtime was built with', async () => {
    await using folder = await createTestFolder();
    const trial = createProviderTrial(path.join(folder.path, 'probe'));
    const { values, executeMs, runtimeProviders } = await trial('cpu', AbortSignal.timeout(15_000));
    // Row 0 of Relu(x · w + b), by hand.
    expect(Array.from(values.subarray(0, 8))).toEqual(expectedRow());
    expect(executeMs).toBeGreaterThanOrEqual(0);
    expect(runtimeProviders).toContain('cpu');
    expect(await readdir(path.join(folder.path, 'probe'))).toEqual([]);
  });

  test('rejects with the reason for a provider that is not there, and leaves nothing behind', async () => {
    await using folder = await createTestFolder();
    const trial = createProviderTrial(folder.path);
    await expect(trial('no-such-provider', AbortSignal.timeout(15_000))).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining('no-such-provider'),
    });
    expect(await readdir(folder.path)).toEqual([]);
  });

  test('rejects when its signal aborts, and leaves nothing behind', async () => {
    await using folder = await createTestFolder();
    const reason = new Error('the node stops');
    const trial = createProviderTrial(folder.path);
    await expect(trial('cpu', AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await readdir(folder.path)).toEqual([]);
  });
});

function expectedRow(): number[] {
  const x = Array.from({ length: 8 }, (_, index) => ((index * 5) % 13) / 4 - 1.5);
  const bias = [-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2];
  return bias.map((b, column) => {
    const product = x.reduce(
      (sum, value, row) => sum + value * ((((row * 8 + column) * 7) % 11) - 5) * 0.25,
      0,
    );
    return Math.max(0, product + b);
  });
}
