import path from 'node:path';
import type { CommandContext } from './command-context.ts';
import { dataFolder } from './data-folder.ts';
import { type CommandKey, openKey } from './key-file.ts';
import { DEFAULT_KEY, KeyRing } from './key-ring.ts';
import { isPetname } from './petname.ts';

type KeyContext = Pick<CommandContext, 'cwd' | 'env' | 'settings' | 'terminal'>;

/** The publisher's data folder, absolute. */
export function publisherFolder({ cwd, env, settings }: KeyContext): string {
  return path.resolve(cwd, dataFolder('publisher', settings.data, env));
}

/** The publisher's own keys, with warnings on stderr. */
export function openKeyRing(context: KeyContext): KeyRing {
  const { terminal } = context;
  return new KeyRing(publisherFolder(context), {
    onWarning: (message) => terminal.note(`${terminal.style('bad', 'warning:')} ${message}`),
  });
}

/**
 * The key that `--key` names: a petname of the ring, or a file. A file, and the default key, are made when missing.
 *
 * @throws {ERR_NOT_FOUND} when the ring has no such petname. {ERR_STORE} when a file is damaged.
 */
export async function openOrMakePublisherKey(context: KeyContext): Promise<CommandKey> {
  const { key = DEFAULT_KEY } = context.settings;
  const ring = openKeyRing(context);
  if (isPetname(key) && key !== DEFAULT_KEY) return { ...(await ring.get(key)), made: false };
  const publisher = await openKey(context, key === DEFAULT_KEY ? ring.fileOf(key) : key);
  if (publisher.made) tellMade(context, publisher);
  return publisher;
}

/**
 * {@link openOrMakePublisherKey} for what makes no sense with a key that was never used before.
 *
 * @throws {ERR_NOT_FOUND} also when the file is missing.
 */
export async function openPublisherKey(context: KeyContext): Promise<CommandKey> {
  const { key = DEFAULT_KEY } = context.settings;
  const ring = openKeyRing(context);
  if (isPetname(key)) return { ...(await ring.get(key)), made: false };
  return openKey(context, key, { create: false });
}

function tellMade({ terminal }: KeyContext, { id, file }: CommandKey): void {
  terminal.event({ event: 'key', publisher: id, file });
  if (terminal.json) return;
  terminal.note(
    `made your publisher key: ${file}\nBack it up: whoever has it publishes as ${id}, and without it nobody can.`,
  );
}
