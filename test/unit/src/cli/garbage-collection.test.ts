import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const MODULE = new URL('../../../../src/cli/garbage-collection.ts', import.meta.url).href;

/** A process that lets 512 MiB pass through buffers beside a heap of many objects, and prints its collections of that heap. */
const PROGRAM = `
  import { constants, PerformanceObserver } from 'node:perf_hooks';
  import { setImmediate as turn } from 'node:timers/promises';
  if (process.argv[1] === 'tuned') {
    const { tuneGarbageCollection } = await import(${JSON.stringify(MODULE)});
    tuneGarbageCollection();
  }
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) {
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const heap = Array.from({ length: 300_000 }, (_, index) => ({ index, list: [index] }));
  const inUse = [];
  for (let index = 0; index < 2048; index += 1) {
    inUse[index % 8] = new Uint8Array(256 * 1024).fill(1);
    if (index % 16 === 0) await turn();
  }
  await turn();
  console.log(collections + (heap.length === 0 ? 1 : 0));
`;

async function run(how: string): Promise<{ collections: number; stderr: string }> {
  const program = ['--input-type=module', '--eval', PROGRAM, how];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, program);
  return { collections: Number(stdout), stderr };
}

describe('tuneGarbageCollection', () => {
  it('prints nothing, whichever V8 this is', async () => {
    expect((await run('tuned')).stderr).toBe('');
  });

  it.skipIf(!process.versions.v8.startsWith('13.6.'))(
    'saves most collections that memory outside the heap causes (skipped where V8 is not that of Node 24)',
    async () => {
      const { collections: before } = await run('as it comes');
      const { collections: after } = await run('tuned');
      expect(before).toBeGreaterThan(3);
      expect(after).toBeLessThanOrEqual(before / 2);
    },
  );
});
