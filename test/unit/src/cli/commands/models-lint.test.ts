import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runModelsLint } from '../../../../../src/cli/commands/models-lint.ts';
import { addModel } from '../../../../support/models.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { createTestContext, events } from '../command-host.ts';

async function lint(files: Readonly<Record<string, string | Uint8Array>>, json: boolean) {
  await using folder = await createTestFolder();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), content);
  }
  const { context, written } = await createTestContext({}, { cwd: folder.path, json });
  return { code: await runModelsLint(context, { path: '.' }), ...written };
}

const FAULTY = {
  'model.onnx': addModel(),
  'swarm.json': JSON.stringify({
    deployment: { maxBatch: 0, maxBatchDelayMs: 3 },
    metadata: { tsak: 'sum' },
  }),
};

describe('runModelsLint', () => {
  it('exits with 0 when there is no fault', async () => {
    const { code, stdout, stderr } = await lint({ 'model.onnx': addModel() }, false);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toBe('no fault; no golden vectors yet, publishing makes them\n');
  });

  it('prints every fault with file and field, and exits with 5', async () => {
    const { code, stdout, stderr } = await lint(FAULTY, false);
    expect(code).toBe(5);
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^fault {2}swarm\.json field metadata: unknown key 'tsak'$/),
      expect.stringMatching(/^fault {2}swarm\.json field deployment\.maxBatch: /),
      expect.stringMatching(/^fault {2}swarm\.json field deployment\.maxBatchDelayMs: /),
    ]);
    expect(stderr).toBe('3 faults\n');
  });

  it('gives programs an event for each and one at the end', async () => {
    const { code, stdout, stderr } = await lint(FAULTY, true);
    expect([code, stderr]).toEqual([5, '']);
    const told = events(stdout);
    expect(told.map(({ event, file, field }) => [event, file, field])).toEqual([
      ['fault', 'swarm.json', 'metadata'],
      ['fault', 'swarm.json', 'deployment.maxBatch'],
      ['fault', 'swarm.json', 'deployment.maxBatchDelayMs'],
      ['linted', undefined, undefined],
    ]);
    expect(told.at(-1)).toEqual({ event: 'linted', path: '.', faults: 3, golden: null });
  });

  it('throws what is no fault of a package: that there is none', async () => {
    const { context } = await createTestContext({}, { cwd: '/nowhere' });
    await expect(runModelsLint(context, { path: 'at-all' })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
  });
});
