import { describe, expect, it } from 'vitest';
import { IncomingBody } from '../../../../protocols/inference/incoming-body.ts';
import { UNSOLICITED_BODY_BYTES } from '../../../../protocols/limits.ts';

function bodyOf(byteLength: number): IncomingBody {
  return new IncomingBody(
    [{ name: 'x', datatype: 'UINT8', shape: [byteLength], byteLength }],
    byteLength,
  );
}

describe('IncomingBody', () => {
  it('keeps what comes unasked, and refuses a byte more, until there is room', () => {
    const body = bodyOf(100_000);
    body.push(new Uint8Array(UNSOLICITED_BODY_BYTES - 1));
    body.push(Uint8Array.of(1));
    expect(body).toMatchObject({ hasRoom: false, receivedBytes: 65_536, creditBytes: 65_536 });
    expect(() => body.push(Uint8Array.of(1))).toThrow(
      'caller sent 65537 bytes of a body, expected at most the 65536 granted',
    );
  });

  it('takes all of it once there is room, and not a byte more', () => {
    const body = bodyOf(65_538);
    const early = new Uint8Array(65_536).fill(1);
    body.push(early);
    // The sender's memory is its own again.
    early.fill(9);
    expect(body.makeRoom()).toBe(2);
    body.push(Uint8Array.of(2));
    expect(body.complete).toBe(false);
    body.push(Uint8Array.of(3));
    expect(body.complete).toBe(true);
    const bytes = body.tensors()[0]?.tensor.bytes;
    expect([bytes?.[0], bytes?.[65_535], bytes?.[65_536], bytes?.[65_537]]).toEqual([1, 1, 2, 3]);
    expect(() => body.push(Uint8Array.of(4))).toThrow(/expected at most the 65538 granted/);
  });

  it('needs no credit when all of it may come unasked', () => {
    const body = bodyOf(65_536);
    body.push(new Uint8Array(65_536));
    expect(body.complete).toBe(false);
    expect(body.makeRoom()).toBe(0);
    expect(body.complete).toBe(true);
    const empty = bodyOf(0);
    expect(empty.makeRoom()).toBe(0);
    expect(empty.complete).toBe(true);
  });
});
