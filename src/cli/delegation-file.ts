import path from 'node:path';
import { z } from 'zod';
import { InvalidInputError } from '../../protocols/errors.ts';
import { type Delegation, openDelegation } from '../../protocols/release/index.ts';
import { readBoundedFile } from './bounded-file.ts';
import type { CommandContext } from './command-context.ts';

/** Bytes of a file with a certificate; one has some 500. */
const MAX_FILE_BYTES = 8192;

/** docs/keys.md describes it. */
const fileSchema = z.strictObject({
  format: z.literal('gpu-swarm-delegation'),
  version: z.literal(1),
  certificate: z.base64(),
});

/** A certificate as it was signed and as it reads. */
export interface SignedDelegation {
  readonly bytes: Uint8Array;
  readonly delegation: Delegation;
}

/** The text of a certificate's file: one line of JSON, so that it fits into a secret of a CI system. */
export function formatDelegation(certificate: Uint8Array): string {
  const text = Buffer.from(certificate).toString('base64');
  return `${JSON.stringify({ format: 'gpu-swarm-delegation', version: 1, certificate: text })}\n`;
}

/**
 * Reads a certificate's file and checks its signature.
 *
 * @throws {ERR_NOT_FOUND} when it is not there. {ERR_INVALID_INPUT} when it is no such file.
 * @throws {ERR_INVALID_RECORD | ERR_LIMIT} when the certificate in it is not what it claims.
 */
export async function readDelegation(
  { cwd, signal }: Pick<CommandContext, 'cwd' | 'signal'>,
  name: string,
): Promise<SignedDelegation> {
  const what = `delegation file ${name}`;
  const file = path.resolve(cwd, name);
  const text = await readBoundedFile(file, { what, maxBytes: MAX_FILE_BYTES, signal });
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new InvalidInputError(`${what} is not JSON`, { cause });
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidInputError(
      `${what} has a wrong form, expected {"format":"gpu-swarm-delegation","version":1,"certificate":…}`,
    );
  }
  const bytes = new Uint8Array(Buffer.from(parsed.data.certificate, 'base64'));
  return { bytes, delegation: await openDelegation(bytes) };
}
