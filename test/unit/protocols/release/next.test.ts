import { describe, expect, it } from 'vitest';
import {
  decodeRelease,
  moveChannels,
  type ReleaseRecord,
  removeChannel,
  setChannel,
  signRelease,
} from '../../../../protocols/release/index.ts';
import {
  CID_A,
  CID_B,
  firstRecord,
  NOW_MS,
  PUBLISHER,
  publisherKey,
} from '../../../vectors/release.ts';

const move = { publisher: PUBLISHER, name: 'digits', channel: 'stable', nowMs: NOW_MS + 1000 };

describe('setChannel', () => {
  it('begins at sequence 1 and adds one with every move', () => {
    const second = setChannel(firstRecord, { ...move, cid: CID_B });
    expect([firstRecord.sequence, second.sequence]).toEqual([1, 2]);
    expect(second.channels['stable']).toEqual({ cid: CID_B });
    expect(second.history.map(({ sequence, cid }) => [sequence, cid])).toEqual([
      [1, CID_A],
      [2, CID_B],
    ]);
  });

  it('rolls back by a higher sequence that points at the older version', () => {
    const second = setChannel(firstRecord, { ...move, cid: CID_B });
    const third = setChannel(second, { ...move, cid: CID_A });
    expect(third.sequence).toBe(3);
    expect(third.channels['stable']).toEqual({ cid: CID_A });
  });

  it('leaves the other channels where they point and the previous record as it was', () => {
    const before = structuredClone(firstRecord);
    const next = setChannel(firstRecord, { ...move, channel: 'canary', cid: CID_B, weight: 0.05 });
    expect(next.channels).toEqual({ stable: { cid: CID_A }, canary: { cid: CID_B, weight: 0.05 } });
    expect(firstRecord).toEqual(before);
  });

  it('keeps the latest 32 moves, and what it makes can always be signed', async () => {
    let record: ReleaseRecord | undefined;
    for (let index = 0; index < 40; index += 1) {
      record = setChannel(record, { ...move, cid: index % 2 === 0 ? CID_A : CID_B });
    }
    const decoded = await decodeRelease(
      await signRelease(record ?? expect.fail('no record'), publisherKey),
      { nowMs: NOW_MS },
    );
    expect(decoded.history.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 32 }, (_, index) => index + 9),
    );
  });

  it('refuses the record of another model', () => {
    expect(() => setChannel(firstRecord, { ...move, name: 'letters', cid: CID_B })).toThrow(
      'expected',
    );
  });
});

describe('removeChannel', () => {
  it('takes a channel away and remembers the move', () => {
    const next = removeChannel(firstRecord, move);
    expect(next.channels).toEqual({});
    expect(next.history.at(-1)).toMatchObject({ sequence: 2, channel: 'stable', cid: null });
  });

  it('refuses a channel that is not there', () => {
    expect(() => removeChannel(firstRecord, { ...move, channel: 'canary' })).toThrow(
      "no channel 'canary'",
    );
  });
});

describe('moveChannels', () => {
  it('makes several moves of one sequence, in their order', () => {
    const second = setChannel(firstRecord, { ...move, channel: 'canary', cid: CID_B });
    const third = moveChannels(second, move, [
      ['stable', { cid: CID_B }],
      ['canary', null],
    ]);
    expect(third.channels).toEqual({ stable: { cid: CID_B } });
    expect(
      third.history.slice(-2).map(({ sequence, channel, cid }) => [sequence, channel, cid]),
    ).toEqual([
      [3, 'stable', CID_B],
      [3, 'canary', null],
    ]);
  });

  it('steps over sequences, and only forward', () => {
    const later = moveChannels(firstRecord, { ...move, sequence: 1001 }, []);
    expect(later).toMatchObject({ sequence: 1001, channels: firstRecord.channels });
    expect(later.history).toEqual(firstRecord.history);
    expect(() => moveChannels(later, { ...move, sequence: 1001 }, [])).toThrow(
      'to have sequence 1001, expected more than 1001',
    );
  });

  it('lasts as long as its publisher says, and drops the certificate of the record before', () => {
    const before = { ...firstRecord, certificate: new Uint8Array(3) };
    const next = moveChannels(before, { ...move, validityMs: 1000 }, []);
    expect(next.expiresAtMs - next.issuedAtMs).toBe(1000);
    expect(next.certificate).toBeUndefined();
  });
});
