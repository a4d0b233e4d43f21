import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../../../protocols/types.ts';
import type { Evidence } from '../../../../src/client/evidence.ts';
import { EvidenceBook, MAX_EVIDENCE } from '../../../../src/client/evidence-book.ts';
import { type Charge, DOUBT_MS } from '../../../../src/policy/distrust.ts';
import { NOBODY } from '../../../../src/policy/routing.ts';

const NOW = 1_764_000_000_000;

const testimony = (node: string, owner: string) => ({
  node: node as NodeId,
  owner: owner as OwnerId,
  ownerCertificate: new Uint8Array(),
  receipt: new Uint8Array(),
});

function evidence(charge: Charge, node: string, owner = node, inputDigest = 'a'): Evidence {
  return {
    ...{ charge, inputDigest, atMs: NOW, name: 'digits', difference: '', tensors: null },
    publisher: 'publisher' as PublisherId,
    version: 'version' as VersionCid,
    tolerance: { absolute: 0, relative: 0 },
    accused: testimony(node, owner),
    witnesses: [testimony('w1', 'w1'), testimony('w2', 'w2')],
  };
}

describe('EvidenceBook', () => {
  const avoids = (book: EvidenceBook, node: string, owner: string, atMs: number) =>
    book.avoids(node as NodeId, owner as OwnerId, atMs);

  it('avoids every node of an owner one of whose nodes lied, for good', async () => {
    const book = await EvidenceBook.open();
    book.add(evidence('lie', 'n1', 'owner'));
    expect(avoids(book, 'n1', 'owner', NOW + 1000 * DOUBT_MS)).toBe(true);
    expect(avoids(book, 'n2', 'owner', NOW)).toBe(true);
    expect(avoids(book, 'n3', 'other', NOW)).toBe(false);
  });

  it('tells the router whom to avoid, and nobody while there is nobody', async () => {
    const book = await EvidenceBook.open();
    expect(book.avoided(NOW)).toBe(NOBODY);
    book.add(evidence('lie', 'n1', 'owner'));
    book.add(evidence('near tie', 'n2', 'other'));
    expect([...book.avoided(NOW).owners]).toContain('owner');
    expect([...book.avoided(NOW).nodes]).toContain('n2');
    expect([...book.avoided(NOW).owners]).not.toContain('other');
    expect([...book.avoided(NOW + DOUBT_MS).nodes]).not.toContain('n2');
  });

  it('avoids a node in doubt for an hour, and no other of its owner', async () => {
    const book = await EvidenceBook.open();
    book.add(evidence('other provider', 'n1', 'owner'));
    expect(avoids(book, 'n1', 'owner', NOW + DOUBT_MS - 1)).toBe(true);
    expect(avoids(book, 'n1', 'owner', NOW + DOUBT_MS)).toBe(false);
    expect(avoids(book, 'n2', 'owner', NOW)).toBe(false);
  });

  it('writes a liar up once, however many calls find it at the same time', async () => {
    const kept: Evidence[] = [];
    const book = await EvidenceBook.open({
      read: async () => [],
      keep: async (one) => {
        kept.push(one);
      },
    });
    book.add(evidence('lie', 'n1'));
    book.add(evidence('lie', 'n1', 'n1', 'b'));
    await book.settled();
    expect(book.evidence).toHaveLength(1);
    expect(kept).toHaveLength(1);
  });

  it('tells when something could not be written down, and avoids the node all the same', async () => {
    const keep = async (): Promise<void> => {
      throw new Error('disk is full');
    };
    const book = await EvidenceBook.open({ read: async () => [], keep });
    book.add(evidence('lie', 'n1'));
    await expect(book.settled()).rejects.toThrow('disk is full');
    expect(avoids(book, 'n1', 'n1', NOW)).toBe(true);
  });

  it('holds as much as its bound, and then forgets the oldest', async () => {
    const book = await EvidenceBook.open();
    for (let index = 0; index < MAX_EVIDENCE; index += 1) book.add(evidence('lie', `n${index}`));
    expect(book.evidence).toHaveLength(MAX_EVIDENCE);
    expect(avoids(book, 'n0', 'n0', NOW)).toBe(true);
    book.add(evidence('lie', 'last'));
    expect(book.evidence).toHaveLength(MAX_EVIDENCE);
    expect(avoids(book, 'n0', 'n0', NOW)).toBe(false);
    expect(avoids(book, 'last', 'last', NOW)).toBe(true);
  });
});
