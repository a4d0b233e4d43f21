import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Announcement,
  openAnnouncement,
  signAnnouncement,
} from '../../../../protocols/capacity/index.ts';
import { isSwarmError } from '../../../../protocols/errors.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import { announcement, announcementVectors, nodeKey, VERSION } from '../../../vectors/capacity.ts';

describe('openAnnouncement', () => {
  it.each(announcementVectors.filter(({ refused }) => refused === undefined))(
    "takes the announcement '$name'",
    async ({ bytes, announcement }) => {
      expect(await openAnnouncement(bytes)).toEqual(announcement);
    },
  );

  it.each(announcementVectors.filter(({ refused }) => refused !== undefined))(
    "refuses the announcement '$name'",
    async ({ bytes, refused, message }) => {
      await expect(openAnnouncement(bytes)).rejects.toEqual(
        refusal(present(refused), present(message)),
      );
    },
  );

  it('refuses an announcement at every cut of its bytes', async () => {
    const bytes = await signAnnouncement(announcement, nodeKey);
    for (let length = 0; length < bytes.byteLength; length += 1) {
      await expect(openAnnouncement(bytes.subarray(0, length))).rejects.toMatchObject({
        code: 'ERR_INVALID_RECORD',
      });
    }
  });

  it('refuses an announcement of which any one byte is another', async () => {
    const bytes = await signAnnouncement(announcement, nodeKey);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.byteLength - 1),
        fc.integer({ min: 1, max: 255 }),
        async (index, change) => {
          const changed = bytes.slice();
          changed[index] = (changed[index] ?? 0) ^ change;
          const opening = await openAnnouncement(changed).catch((error: unknown) => error);
          expect(isSwarmError(opening) && opening.code).toBe('ERR_INVALID_RECORD');
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('signAnnouncement', () => {
  it('gives the same bytes as in every earlier version of this program', async () => {
    const bytes = await signAnnouncement(announcement, nodeKey);
    expect(createHash('sha256').update(bytes).digest('hex')).toMatchInlineSnapshot(
      `"b2df31bde23eba4c0a1649b929a91f08d3b5a3d0bede46ac90fca6860d75d134"`,
    );
  });

  it('refuses what every receiver would, naming the field', async () => {
    const zone = 'z'.repeat(65);
    await expect(signAnnouncement({ ...announcement, zone }, nodeKey)).rejects.toEqual(
      refusal('ERR_INVALID_RECORD', /^announcement field zone: /),
    );
    const load = { ...VERSION.load, serviceMs: Number.NaN };
    await expect(
      signAnnouncement({ ...announcement, versions: [{ ...VERSION, load }] }, nodeKey),
    ).rejects.toThrow('field versions[0].load.serviceMs: ');
  });

  it('signs 2048 bytes and refuses one more', async () => {
    // Whether the certificate is one is looked at by who receives it.
    const withCertificate = (bytes: number): Announcement => ({
      ...announcement,
      ownerCertificate: new Uint8Array(bytes),
    });
    const { byteLength } = await signAnnouncement(withCertificate(300), nodeKey);
    const padded = (bytes: number): Announcement => withCertificate(300 + bytes - byteLength);
    expect((await signAnnouncement(padded(2048), nodeKey)).byteLength).toBe(2048);
    await expect(signAnnouncement(padded(2049), nodeKey)).rejects.toEqual(
      refusal('ERR_LIMIT', 'announcement has 2049 bytes, expected at most 2048'),
    );
  });
});
