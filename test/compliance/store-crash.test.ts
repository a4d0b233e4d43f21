import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { createWrittenVersion } from '../support/written-version.ts';
import { storedFiles, store } from './store.suite.ts';

const WRITER = fileURLToPath(new URL('../support/store-writer.ts', import.meta.url));

/** How far a version came, as far as its writer was told. */
type Stage = 'wanted' | 'finished' | 'removing' | 'removed';

/** By round of the writer; one version a round. */
type Acknowledged = Map<number, Stage>;

/** Moments at which the writer is killed: the nth line of a kind. The kernel picks the exact instant. */
const KILLS = [
  { line: 'wanted', count: 2 },
  { line: 'wrote', count: 3 },
  { line: 'wrote', count: 13 },
  { line: 'finishing', count: 1 },
  { line: 'finishing', count: 2 },
  { line: 'finishing', count: 3 },
  { line: 'finished', count: 2 },
  { line: 'removing', count: 1 },
  { line: 'removed', count: 1 },
] as const;

describe('VersionStore after kill -9', () => {
  test('has every version and wanted version that it acknowledged, and nothing that is half there', async () => {
    await using folder = await createTestFolder();
    const seen: Acknowledged = new Map();
    for (const { line, count } of KILLS) {
      await writeUntil(folder.path, seen, line, count);
      const opened = await VersionStore.open(folder.path);
      try {
        await expectAcknowledged(opened, seen);
      } finally {
        await opened.close();
      }
    }
    expect(seen.size).toBeGreaterThan(KILLS.length);
  });
});

/** Lets a writer go on with the next round, and kills it at the nth line of a kind. */
async function writeUntil(
  folder: string,
  seen: Acknowledged,
  kind: string,
  count: number,
): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--conditions=swarm-source', WRITER, folder, String(seen.size)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  let left = count;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word = '', round = ''] = line.split(' ');
    if (isStage(word)) seen.set(Number(round), word);
    if (word === kind) left -= 1;
    if (left === 0) child.kill('SIGKILL');
  }
  await ended;
  expect(child.signalCode).toBe('SIGKILL');
}

function isStage(word: string): word is Stage {
  return ['wanted', 'finished', 'removing', 'removed'].includes(word);
}

async function expectAcknowledged(opened: VersionStore, seen: Acknowledged): Promise<void> {
  const wanted = new Set((await opened.wanted()).map(({ name }) => name));
  for (const [round, stage] of seen) {
    expect(wanted).toContain(`m${round}`);
    const version = createWrittenVersion(round);
    const stored = await opened.get(version.cid);
    expect(stage === 'removed' && stored !== undefined, `round ${round} is back`).toBe(false);
    // What was under way is there whole, or can be fetched.
    if (stage !== 'finished' && stored === undefined) await store(opened, version);
    expect(await storedFiles(opened, version)).toEqual(version.files);
    seen.set(round, 'finished');
  }
}
