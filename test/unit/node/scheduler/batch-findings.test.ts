import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { BatchFindings, UNFINISHED_AGE_MS } from '../../../../node/scheduler/batch-findings.ts';
import type { BatchFinding } from '../../../../node/scheduler/batch-probe.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const NOW = 1_800_000_000_000;
const [A, B] = ['a', 'b'] as VersionCid[] as [VersionCid, VersionCid];
const FINDING: BatchFinding = {
  maxRows: 16,
  reason: 'more rows gain less than 10 %',
  finished: true,
  timings: [{ elements: 4, ms: 1.5 }],
};

/** A file in a folder of its own, and what opens it as a node that starts does. */
async function prepare() {
  const folder = await createTestFolder();
  const file = path.join(folder.path, 'batches.json');
  return {
    file,
    open: async (runtime = '1.30.0') => BatchFindings.open({ file, runtime }),
    [Symbol.asyncDispose]: async () => folder[Symbol.asyncDispose](),
  };
}

describe('BatchFindings', () => {
  test('gives back after a restart what was found for the same version, device and runtime, and for no other', async () => {
    await using made = await prepare();
    const first = await made.open();
    first.add(A, 'cpu', FINDING, NOW);
    await first.written;
    const again = await made.open();
    expect(again.get(A, 'cpu', NOW)).toEqual(FINDING);
    expect(again.get(A, 'cuda on NVIDIA H100', NOW)).toBeUndefined();
    expect(again.get(B, 'cpu', NOW)).toBeUndefined();
    expect((await made.open('1.31.0')).get(A, 'cpu', NOW)).toBeUndefined();
  });

  test('holds a probe that did not come to its end for a day, and one that did for ever', async () => {
    const findings = new BatchFindings();
    findings.add(A, 'cpu', { ...FINDING, finished: false }, NOW);
    findings.add(B, 'cpu', FINDING, NOW);
    expect(findings.get(A, 'cpu', NOW + UNFINISHED_AGE_MS)).toMatchObject({ maxRows: 16 });
    expect(findings.get(A, 'cpu', NOW + UNFINISHED_AGE_MS + 1)).toBeUndefined();
    // The clock was set back: how old it is cannot be told.
    expect(findings.get(A, 'cpu', NOW - 1)).toBeUndefined();
    expect(findings.get(B, 'cpu', NOW + 1000 * UNFINISHED_AGE_MS)).toEqual(FINDING);
  });

  test('forgets a version on all devices when it leaves the disk', async () => {
    await using made = await prepare();
    const findings = await made.open();
    for (const device of ['cpu', 'cuda on NVIDIA H100']) findings.add(A, device, FINDING, NOW);
    findings.add(B, 'cpu', FINDING, NOW);
    findings.forget(A);
    await findings.written;
    const { findings: kept } = JSON.parse(await readFile(made.file, 'utf8'));
    expect(kept).toMatchObject([{ cid: 'b' }]);
  });

  test('keeps 512, and lets the one go that was used longest ago', async () => {
    await using made = await prepare();
    const findings = await made.open();
    const cid = (index: number) => `v${index}` as VersionCid;
    for (let index = 0; index < 512; index += 1) findings.add(cid(index), 'cpu', FINDING, NOW);
    expect(findings.get(cid(0), 'cpu', NOW)).toBeDefined();
    findings.add(cid(512), 'cpu', FINDING, NOW);
    await findings.written;
    const again = await made.open();
    expect([0, 1, 2, 512].map((index) => again.get(cid(index), 'cpu', NOW)?.maxRows)).toEqual([
      16,
      undefined,
      16,
      16,
    ]);
  });

  test.each([
    '',
    '{',
    '[]',
    '{"runtime":"1.30.0","findings":[{"cid":"a","device":"cpu","maxRows":0}]}',
    `{"runtime":"1.30.0","findings":[],"padding":"${'x'.repeat(1024 * 1024)}"}`,
  ])('takes a file that is not its own for none, and writes a new one: %#', async (text) => {
    await using made = await prepare();
    await writeFile(made.file, text);
    const findings = await made.open();
    expect(findings.get(A, 'cpu', NOW)).toBeUndefined();
    findings.add(A, 'cpu', FINDING, NOW);
    await findings.written;
    expect((await made.open()).get(A, 'cpu', NOW)).toEqual(FINDING);
  });

  test('goes on in memory when the disk refuses, and says so', async () => {
    await using made = await prepare();
    const warn = vi.fn();
    await mkdir(made.file);
    const findings = await BatchFindings.open({ file: made.file, logger: { warn } });
    findings.add(A, 'cpu', FINDING, NOW);
    await findings.written;
    expect(warn).toHaveBeenCalledWith(
      expect.objectContaining({ file: made.file }),
      'batch sizes could not be kept',
    );
    expect(findings.get(A, 'cpu', NOW)).toEqual(FINDING);
    await rm(made.file, { recursive: true });
  });
});
