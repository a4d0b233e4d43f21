import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_EVIDENCE_BYTES } from '../../../../src/client/evidence.ts';
import { EvidenceBook, MAX_EVIDENCE } from '../../../../src/client/evidence-book.ts';
import { EvidenceFolder } from '../../../../src/client/evidence-folder.ts';
import { EVIDENCE_AT_MS, makeEvidence } from '../../../support/evidence.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('EvidenceFolder', () => {
  it('has nothing, and makes nothing, before the first is kept', async () => {
    await using folder = await createTestFolder();
    const data = path.join(folder.path, 'data');
    expect(await new EvidenceFolder(data).read()).toEqual([]);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('gives back what was kept, the oldest first, to another process as well', async () => {
    await using folder = await createTestFolder();
    const [late, early] = [makeEvidence('lie', 'n2'), makeEvidence('near tie', 'n1', -5)];
    for (const one of [late, early]) await new EvidenceFolder(folder.path).keep(one);
    expect(await new EvidenceFolder(folder.path).read()).toEqual([early, late]);
  });

  it('makes room by forgetting doubts before a lie', async () => {
    await using folder = await createTestFolder();
    const evidence = new EvidenceFolder(folder.path);
    await evidence.keep(makeEvidence('lie', 'liar', -1_000));
    for (let index = 0; index < MAX_EVIDENCE; index += 1) {
      await evidence.keep(makeEvidence('near tie', `n${index}`, index));
    }
    const kept = await evidence.read();
    expect(kept).toHaveLength(MAX_EVIDENCE);
    expect(kept[0]?.accused.node).toBe('liar');
    expect(kept.map(({ accused }) => accused.node)).not.toContain('n0');
    const book = await EvidenceBook.open(evidence);
    const { node, owner } = makeEvidence('lie', 'liar').accused;
    expect(book.avoids(node, owner, EVIDENCE_AT_MS)).toBe(true);
  });

  it.each([
    ['no evidence', Uint8Array.of(1, 2, 3), /evidence is not dag-cbor.*Remove it to go on/],
    [
      'too large',
      new Uint8Array(MAX_EVIDENCE_BYTES + 1),
      /has 524289 bytes, expected at most 524288/,
    ],
  ])('names a file that is %s instead of asking a liar again', async (_, bytes, message) => {
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'evidence'));
    await writeFile(path.join(folder.path, 'evidence', 'broken.evidence'), bytes);
    const opened = EvidenceBook.open(new EvidenceFolder(folder.path));
    await expect(opened).rejects.toEqual(refusal('ERR_STORE', message));
  });
});
