import { z } from 'zod';
import { cidLink, publisherField } from '../record-fields.ts';
import { isName } from '../reference.ts';
import { guardSchema } from './guard.ts';

/** Channels of one model. */
export const MAX_CHANNELS = 16;

/** Moves a record remembers. */
export const MAX_HISTORY = 32;

/** The year 9999: beyond it `Date` has no ISO text of the usual form. */
const MAX_TIME_MS = 253_402_300_799_999;

const channelName = z.string().refine(isName, {
  message: "expected 1 to 64 of a-z, 0-9, '.', '_', '-'",
});

const time = z.int().min(0).max(MAX_TIME_MS);

const channel = z.object({
  cid: cidLink,
  weight: z.number().gt(0).max(1).optional(),
  guard: guardSchema.optional(),
  previous: cidLink.optional(),
});

/** The decoded payload as a record; keys of a later program are left out. */
export const releaseSchema = z
  .object({
    schema: z.literal(1),
    publisher: publisherField,
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
          cid: cidLink.nullable(),
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
