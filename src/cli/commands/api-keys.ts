import path from 'node:path';
import { InvalidInputError, NotFoundError } from '../../../protocols/errors.ts';
import {
  type ApiKeyEntry,
  createApiKey,
  MAX_API_KEYS,
  readApiKeys,
} from '../../gateway/access/api-key-file.ts';
import { ensureFolder } from '../../model/ensured-folder.ts';
import { writeDurably } from '../../swarm/durable-file.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { parseInteger } from '../config.ts';
import { dataFolder } from '../data-folder.ts';
import { EXIT } from '../exit-code.ts';
import { parsePetname } from '../petname.ts';
import { resolveModelNames } from '../publisher-names.ts';
import { parseNumber } from '../quantity.ts';
import { printTable } from '../table.ts';
import { takeTurn } from '../turn-lock.ts';

/** File of the API keys in the gateway's data folder. */
const API_KEY_FILE = 'api-keys.json';

type Keys = Readonly<Record<string, ApiKeyEntry>>;

/** Where the keys of the gateway are kept. */
export function apiKeyFile({
  cwd,
  env,
  settings,
}: Pick<CommandContext, 'cwd' | 'env' | 'settings'>): string {
  return path.join(path.resolve(cwd, dataFolder('gateway', settings.data, env)), API_KEY_FILE);
}

/** `swarm keys api`: makes a key for somebody who calls the gateway. */
export async function runKeysApi(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal } = context;
  const name = parsePetname(String(options['name']));
  const { text, entry } = createApiKey(await parseGrants(context, options));
  await change(context, (keys) => {
    if (Object.hasOwn(keys, name)) {
      throw new InvalidInputError(
        `there is an API key '${name}' already: revoke it first, or choose another name`,
      );
    }
    if (Object.keys(keys).length >= MAX_API_KEYS) {
      throw new InvalidInputError(`there are ${MAX_API_KEYS} API keys, expected fewer`);
    }
    return { ...keys, [name]: entry };
  });
  terminal.event({ event: 'api-key', name, key: text, file: apiKeyFile(context) });
  terminal.print(text);
  terminal.note(
    'This is the only time it is told. Callers send it as: Authorization: Bearer <key>',
  );
  return EXIT.ok;
}

/** `swarm keys api-ls`: whose keys there are, and what they are for. */
export async function runKeysApiList(context: CommandContext): Promise<number> {
  const { terminal } = context;
  const keys = Object.entries(await readApiKeys(apiKeyFile(context)));
  for (const [name, { sha256: _hash, ...entry }] of keys) {
    terminal.event({ event: 'api-key', name, ...entry });
  }
  if (keys.length === 0) terminal.note('there is no API key: `swarm keys api <name>` makes one');
  else {
    const rows = keys.map(([name, { createdAt, requestsPerSecond, models, priority, admin }]) => [
      ...[name, createdAt, requestsPerSecond === undefined ? 'any' : String(requestsPerSecond)],
      ...[models?.join(' ') ?? 'all', String(priority ?? 'any'), admin === true ? 'yes' : 'no'],
    ]);
    printTable(terminal, ['NAME', 'MADE', 'PER SECOND', 'MODELS', 'PRIORITY', 'ADMIN'], rows);
  }
  return EXIT.ok;
}

/** `swarm keys api-revoke`: takes a key back. */
export async function runKeysApiRevoke(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const name = String(options['name']);
  await change(context, ({ [name]: revoked, ...others }) => {
    if (revoked !== undefined) return others;
    throw new NotFoundError(`there is no API key '${name.slice(0, 80)}'`);
  });
  context.terminal.event({ event: 'revoked', name });
  context.terminal.print(`${name} is refused from now on`);
  return EXIT.ok;
}

async function parseGrants(
  context: CommandContext,
  { rate, models, priority, admin }: CommandOptions,
): Promise<Omit<ApiKeyEntry, 'sha256' | 'createdAt'>> {
  return {
    ...(admin === true && { admin: true }),
    ...(rate !== undefined && {
      requestsPerSecond: parseNumber(String(rate), '--rate', [0.001, 1e6]),
    }),
    ...(models !== undefined && {
      models: await resolveModelNames(context, String(models).split(','), '--models'),
    }),
    ...(priority !== undefined && {
      priority: parseInteger(String(priority), '--priority', [0, 255]),
    }),
  };
}

async function change(context: CommandContext, edit: (keys: Keys) => Keys): Promise<void> {
  const file = apiKeyFile(context);
  await ensureFolder(path.dirname(file), 0o700);
  const { signal } = context;
  // Two at once would each write what the other had not yet written.
  await using _turn = await takeTurn(`${file}.turn`, {
    ...{ holder: 'swarm keys api', doing: 'is changing the API keys', signal },
  });
  const keys = edit(await readApiKeys(file));
  await writeDurably(file, Buffer.from(`${JSON.stringify(keys, null, 2)}\n`), 0o600);
}
