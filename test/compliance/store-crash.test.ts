import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import { digestText, sha256 } from '../../protocols/digest.ts';
import { present } from '../support/present.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { writeVersion as store } from '../support/version-writer.ts';
import { createRevision, createWrittenVersion } from '../support/written-version.ts';
import { storedFiles } from './store.suite.ts';

const WRITER = fileURLToPath(new URL('../support/store-writer.ts', import.meta.url));

const PACKER = fileURLToPath(new URL('../support/store-packer.ts', import.meta.url));

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

/** A packer says a line at each step; between two of them it links, writes, records and unlinks. */
const PACKING_KILLS = [
  { line: 'packing', count: 2 },
  { line: 'packed', count: 1 },
  { line: 'unpacking', count: 2 },
  { line: 'packing', count: 3 },
  { line: 'packed', count: 2 },
  { line: 'unpacking', count: 3 },
  { line: 'packed', count: 5 },
  { line: 'unpacked', count: 4 },
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

  test('in the middle of packing and unpacking, has every version that it finished, and verifies', async () => {
    await using folder = await createTestFolder();
    let rounds = 0;
    for (const { line, count } of PACKING_KILLS) {
      for (const [word, round] of await runUntil(PACKER, folder.path, rounds, line, count)) {
        if (word === 'finished') rounds = Math.max(rounds, round);
      }
      const opened = await VersionStore.open(folder.path);
      try {
        for await (const { cid, faults } of opened.upkeep.verify()) {
          expect({ cid, faults }).toEqual({ cid, faults: [] });
        }
        for (let round = 0; round <= Math.min(rounds, 3); round += 1) {
          const version = createRevision(round);
          for (const [key, block] of version.blocks) {
            expect(digestText(sha256(present(await opened.read(sha256(block)))))).toBe(key);
          }
        }
      } finally {
        await opened.close();
      }
    }
    const opened = await VersionStore.open(folder.path);
    for (let round = 0; round < 4; round += 1) {
      const version = createRevision(round);
      const file = present((await storedFiles(opened, version))?.get('model.onnx'));
      expect(digestText(sha256(file))).toBe(
        digestText(sha256(present(version.files.get('model.onnx')))),
      );
    }
    await opened.close();
  });
});

/** Lets a writer go on with the next round, and kills it at the nth line of a kind. */
async function writeUntil(
  folder: string,
  seen: Acknowledged,
  kind: string,
  count: number,
): Promise<void> {
  const lines = await runUntil(WRITER, folder, seen.size, kind, count);
  for (const [word, round] of lines) if (isStage(word)) seen.set(round, word);
}

/** Runs a program on a store until the nth line of a kind, at which it is killed; all that it said, word and number. */
async function runUntil(
  program: string,
  folder: string,
  firstRound: number,
  kind: string,
  count: number,
): Promise<(readonly [string, number])[]> {
  const child = spawn(
    process.execPath,
    ['--conditions=swarm-source', program, folder, String(firstRound)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  const lines: (readonly [string, number])[] = [];
  let left = count;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word = '', number = ''] = line.split(' ');
    lines.push([word, Number(number)]);
    if (word === kind) left -= 1;
    if (left === 0) child.kill('SIGKILL');
  }
  await ended;
  expect(child.signalCode).toBe('SIGKILL');
  return lines;
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
