import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { isBlockCid } from '../digest.ts';
import { isName } from '../reference.ts';
import type { PublisherId, VersionCid } from '../types.ts';
import { guardSchema } from './guard.ts';

/** Channels of one model. */
export const MAX_CHANNELS = 16;

/** Moves a record remembers. */
export const MAX_HISTORY = 32;

/** The year 9999: beyond it `Date` has no ISO text of the usual form. */
const MAX_TIME_MS = 253_402_300_799_999;

const PUBLISHER = /^[1-9A-HJ-NP-Za-km-z]{40,64}$/;

const link = z
  .custom<CID>(
    (value) => {
      const cid = CID.asCID(value);
      return cid !== null && isBlockCid(cid);
    },
    { message: 'expected a link to a manifest' },
  )
  .transform((cid) => cid.toString() as VersionCid);

const channelName = z.string().refine(isName, {
  message: "expected 1 to 64 of a-z, 0-9, '.', '_', '-'",
});

const time = z.int().min(0).max(MAX_TIME_MS);

const channel = z.object({
  cid: link,
  weight: z.number().gt(0).max(1).optional(),
  guard: guardSchema.optional(),
  previous: link.optional(),
});

/** The decoded payload as a record; keys of a later program are left out. */
export const releaseSchema = z
  .object({
    schema: z.literal(1),
    publisher: z
      .string()
      .regex(PUBLISHER, { message: 'expected a base58 peer id' })
      .transform((text) => text as PublisherId),
    name: channelName,
    sequence: z.int().min(1),
    channels: z
      .record(channelName, channel)
      .refine((channels) => Object.keys(channels).length <= MAX_CHANNELS, {
        message: `expected at most ${MAX_CHANNELS} channels`,
      }),
    history: z
      .array(
        z.object({
          sequence: z.int().min(1),
          channel: channelName,
          cid: link.nullable(),
          atMs: time,
        }),
      )
      .max(MAX_HISTORY),
    issuedAtMs: time,
    expiresAtMs: time,
    certificate: z.instanceof(Uint8Array).optional(),
  })
  .refine(({ issuedAtMs, expiresAtMs }) => issuedAtMs < expiresAtMs, {
    path: ['expiresAtMs'],
    message: 'expected a time after issuedAtMs',
  });
