import path from 'node:path';
import { z } from 'zod';
import {
  ConfigError,
  InvalidInputError,
  isSwarmError,
  NotFoundError,
  StoreError,
} from '../../protocols/errors.ts';
import { type ModelRef, parseModelRef, parsePublisherId } from '../../protocols/reference.ts';
import { describeSchemaIssue } from '../../protocols/schema-issue.ts';
import type { PublisherId } from '../../protocols/types.ts';
import { ensureFolder } from '../model/ensured-folder.ts';
import { writeDurably } from '../swarm/durable-file.ts';
import { readBoundedFile } from './bounded-file.ts';
import type { CommandContext } from './command-context.ts';
import { isPetname, parsePetname } from './petname.ts';
import { openKeyRing, publisherFolder } from './publisher-key.ts';
import { takeTurn } from './turn-lock.ts';

/** Publishers that one data folder knows by petname. */
export const MAX_TRUSTED_PUBLISHERS = 1000;

const MAX_FILE_BYTES = 256 * 1024;

const fileSchema = z.record(z.string(), z.string());

type NamesContext = Pick<CommandContext, 'cwd' | 'env' | 'settings' | 'signal' | 'terminal'>;

/** A publisher that is known by a petname, and by what. */
export interface NamedPublisher {
  readonly petname: string;
  readonly id: PublisherId;
  /** Where the petname stands: a key of one's own, `swarm keys trust`, or the setting `publishers`. */
  readonly from: 'key' | 'trusted' | 'setting';
}

/**
 * Every publisher known by a petname, by petname.
 *
 * @throws {ERR_CONFIG} when a setting is malformed, or two places give one petname to different publishers.
 * @throws {ERR_STORE} when a file is damaged.
 */
export async function listPublishers(context: NamesContext): Promise<readonly NamedPublisher[]> {
  const named = new Map<string, NamedPublisher>();
  for (const publisher of [
    ...(await openKeyRing(context).list()).map(({ petname, id }) => ({
      ...{ petname, id, from: 'key' as const },
    })),
    ...(await new TrustedPublishers(publisherFolder(context)).list(context.signal)),
    ...context.settings.publishers.map(parseSetting),
  ]) {
    const known = named.get(publisher.petname);
    if (known !== undefined && known.id !== publisher.id) {
      throw new ConfigError(
        `petname '${publisher.petname}' means ${known.id} (${known.from}) and ${publisher.id} (${publisher.from}), expected one publisher`,
      );
    }
    named.set(publisher.petname, known ?? publisher);
  }
  return [...named.values()].sort((a, b) => (a.petname < b.petname ? -1 : 1));
}

/**
 * Parses a reference whose publisher may be a petname: `alice/digits@beta`.
 *
 * @throws {ERR_INVALID_INPUT} when it is malformed. {ERR_NOT_FOUND} when nobody is known by the petname.
 */
export async function resolveModelRef(context: NamesContext, text: string): Promise<ModelRef> {
  const slash = text.indexOf('/');
  const petname = text.slice(0, Math.max(0, slash));
  if (!isPetname(petname)) return parseModelRef(text);
  return parseModelRef(`${await resolvePublisher(context, petname)}${text.slice(slash)}`);
}

/**
 * `publisher/name` of models of which no version is meant.
 *
 * @param where they were written, such as `--models`
 * @throws {ERR_CONFIG} when one is malformed, or names a channel or version. {ERR_NOT_FOUND} as {@link resolveModelRef}.
 */
export async function resolveModelNames(
  context: NamesContext,
  texts: readonly string[],
  where: string,
): Promise<string[]> {
  const names = texts.map(async (text) => {
    const { publisher, name } = await resolveModelRef(context, text.trim()).catch(
      (cause: unknown) => {
        if (!isSwarmError(cause) || cause.code !== 'ERR_INVALID_INPUT') throw cause;
        throw new ConfigError(`${where} has '${text.slice(0, 100)}': ${cause.message}`, { cause });
      },
    );
    if (!text.includes('@')) return `${publisher}/${name}`;
    throw new ConfigError(`${where} has '${text}', expected no channel nor version`);
  });
  return Promise.all(names);
}

/** The publisher that a petname, or a peer id, stands for. @throws as {@link resolveModelRef} does. */
export async function resolvePublisher(context: NamesContext, text: string): Promise<PublisherId> {
  if (!isPetname(text)) return parsePublisherId(text);
  const publishers = await listPublishers(context);
  const found = publishers.find(({ petname }) => petname === text);
  if (found !== undefined) return found.id;
  const known = publishers.map(({ petname }) => petname).join(', ') || 'none';
  throw new NotFoundError(
    `no publisher is known by the petname '${text}' (known: ${known}): give the peer id, or name it with \`swarm keys trust ${text} <id>\``,
  );
}

/** Publishers that the user named, in `publishers.json` of the data folder. */
export class TrustedPublishers {
  readonly #file: string;

  constructor(dataDir: string) {
    this.#file = path.join(dataDir, 'publishers.json');
  }

  /** @throws {ERR_STORE} when the file is damaged: a petname must not silently mean nobody. */
  async list(signal: AbortSignal): Promise<readonly NamedPublisher[]> {
    const entries = await this.#read(signal);
    return [...entries].map(([petname, id]) => ({ petname, id, from: 'trusted' as const }));
  }

  /**
   * Gives a publisher a petname.
   *
   * @throws {ERR_INVALID_INPUT} when it is another's and `replace` is not said: who was trusted must not change by accident.
   */
  async add(
    petname: string,
    id: PublisherId,
    { replace, signal }: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#change(signal, (entries) => {
      const known = entries.get(parsePetname(petname));
      if (known !== undefined && known !== id && !replace) {
        throw new InvalidInputError(
          `petname '${petname}' is that of ${known}, expected --replace to give it to ${id}`,
        );
      }
      entries.set(petname, id);
      if (entries.size <= MAX_TRUSTED_PUBLISHERS) return;
      throw new InvalidInputError(
        `${entries.size} publishers have petnames, expected at most ${MAX_TRUSTED_PUBLISHERS}`,
      );
    });
  }

  /** Takes a petname away. @throws {ERR_NOT_FOUND} when nobody has it. */
  async remove(petname: string, signal: AbortSignal): Promise<void> {
    await this.#change(signal, (entries) => {
      if (entries.delete(petname)) return;
      throw new NotFoundError(`no publisher is trusted by the petname '${petname.slice(0, 80)}'`);
    });
  }

  async #change(
    signal: AbortSignal,
    change: (entries: Map<string, PublisherId>) => void,
  ): Promise<void> {
    await ensureFolder(path.dirname(this.#file), 0o700);
    // Two at once would each write what the other had not yet written.
    await using _turn = await takeTurn(`${this.#file}.turn`, {
      ...{ holder: 'swarm keys', doing: 'is changing the petnames', signal },
    });
    const entries = await this.#read(signal);
    change(entries);
    const text = `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
    await writeDurably(this.#file, Buffer.from(text), 0o600);
  }

  async #read(signal: AbortSignal): Promise<Map<string, PublisherId>> {
    const what = `file of publishers ${this.#file}`;
    try {
      const bytes = await readBoundedFile(this.#file, { what, maxBytes: MAX_FILE_BYTES, signal });
      const parsed = fileSchema.safeParse(JSON.parse(bytes.toString('utf8')));
      if (!parsed.success) throw new InvalidInputError(describeSchemaIssue(parsed.error));
      const entries = Object.entries(parsed.data);
      return new Map(entries.map(([name, id]) => [parsePetname(name), parsePublisherId(id)]));
    } catch (cause) {
      signal.throwIfAborted();
      if ((cause as { code?: unknown }).code === 'ERR_NOT_FOUND') return new Map();
      throw new StoreError(
        `${what} is damaged: ${(cause as Error).message}, expected {"petname": "12D3KooW…"}`,
        { cause },
      );
    }
  }
}

function parseSetting(text: string): NamedPublisher {
  const [petname = '', id = '', ...more] = text.split('=');
  try {
    if (more.length > 0) throw new InvalidInputError('more than one =');
    return { petname: parsePetname(petname), id: parsePublisherId(id), from: 'setting' };
  } catch (cause) {
    throw new ConfigError(
      `--publisher has ${JSON.stringify(text.slice(0, 160))}, expected petname=12D3KooW…`,
      { cause },
    );
  }
}
