import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { StoreError } from '../../../protocols/errors.ts';
import { describeSchemaIssue } from '../../../protocols/schema-issue.ts';

/** Keys of one gateway. */
export const MAX_API_KEYS = 10_000;

export const API_KEY_PREFIX = 'swarm_';

/** Random bytes of a key: nobody guesses them, so that a plain hash of it is as good as a slow one. */
const KEY_BYTES = 32;

const keySchema = z.strictObject({
  /** Of the key's text, in hexadecimal: the key itself is told once and kept nowhere. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.iso.datetime(),
  /** Requests a second, and as many at once. */
  requestsPerSecond: z.number().min(0.001).max(1e6).optional(),
  /** `publisher/name` of the models it may ask; all when absent. */
  models: z.array(z.string().max(160)).max(1000).optional(),
  /** The highest priority that its requests may have, and that of those which ask for none. */
  priority: z.int().min(0).max(255).optional(),
  /** True for who may say which models the gateway serves. */
  admin: z.boolean().optional(),
});

/** One API key as it is kept, under its name. */
export type ApiKeyEntry = z.infer<typeof keySchema>;

const fileSchema = z
  .record(z.string(), keySchema)
  .refine((keys) => Object.keys(keys).length <= MAX_API_KEYS, `more than ${MAX_API_KEYS} keys`);

/** A new key: its text, to be told once, and what is kept of it. */
export function createApiKey(settings: Omit<ApiKeyEntry, 'sha256' | 'createdAt'>): {
  readonly text: string;
  readonly entry: ApiKeyEntry;
} {
  const text = API_KEY_PREFIX + randomBytes(KEY_BYTES).toString('base64url');
  return {
    text,
    entry: { sha256: hashApiKey(text), createdAt: new Date().toISOString(), ...settings },
  };
}

/**
 * Reads the keys of a file; there are none when there is no file.
 *
 * @throws {ERR_STORE} when it is damaged: a gateway must not open because its keys cannot be read.
 */
export async function readApiKeys(file: string): Promise<Readonly<Record<string, ApiKeyEntry>>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new StoreError(`file of API keys ${file} cannot be read: ${String(cause)}`, { cause });
  }
  try {
    const parsed = fileSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw new StoreError(describeSchemaIssue(parsed.error));
  } catch (cause) {
    throw new StoreError(
      `file of API keys ${file} is damaged: ${(cause as Error).message}, expected what \`swarm keys api\` wrote`,
      { cause },
    );
  }
}

/** What is kept of a key's text. */
export function hashApiKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
