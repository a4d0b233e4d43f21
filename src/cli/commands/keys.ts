import { generateKeyPair } from '@libp2p/crypto/keys';
import { InvalidInputError } from '../../../protocols/errors.ts';
import { parsePublisherId } from '../../../protocols/reference.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { DEFAULT_KEY, type RingKey } from '../key-ring.ts';
import { parsePetname } from '../petname.ts';
import { openKeyRing, publisherFolder } from '../publisher-key.ts';
import { listPublishers, TrustedPublishers } from '../publisher-names.ts';
import { printPairs, printTable } from '../table.ts';

/** `swarm keys create`: makes a publisher key. */
export async function runKeysCreate(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const petname = parsePetname(String(options['petname']));
  await checkFree(context, petname);
  const key = await openKeyRing(context).add(petname, await generateKeyPair('Ed25519'));
  tellKey(context, key);
  context.terminal.note(
    `Back it up with \`swarm keys export ${petname}\`: whoever has it publishes as ${key.id}, and without it nobody can.`,
  );
  return EXIT.ok;
}

/** `swarm keys ls`: one's own keys and the publishers that have a petname. */
export async function runKeysList(context: CommandContext): Promise<number> {
  const { terminal, settings } = context;
  const { key = DEFAULT_KEY } = settings;
  const publishers = await listPublishers(context);
  for (const { petname, id, from } of publishers) {
    terminal.event({
      event: 'publisher',
      petname,
      publisher: id,
      from,
      used: from === 'key' && petname === key,
    });
  }
  if (publishers.length === 0) {
    terminal.note('there is no key yet: `swarm keys create default` or `swarm publish` makes one');
  } else {
    const rows = publishers.map(({ petname, id, from }) => [
      from === 'key' && petname === key ? `${petname} *` : petname,
      id,
      from === 'key' ? 'your key' : from,
    ]);
    printTable(terminal, ['PETNAME', 'PUBLISHER', 'FROM'], rows);
  }
  return EXIT.ok;
}

/** `swarm keys show`: whose key it is and where it stands. */
export async function runKeysShow(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  tellKey(context, await openKeyRing(context).get(String(options['petname'])));
  return EXIT.ok;
}

/** `swarm keys trust`: gives another publisher a petname. */
export async function runKeysTrust(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal, signal } = context;
  const petname = parsePetname(String(options['petname']));
  const id = parsePublisherId(String(options['id']));
  const own = await openKeyRing(context).find(petname);
  if (own !== undefined && own.id !== id) {
    throw new InvalidInputError(`petname '${petname}' is that of your own key ${own.id}`);
  }
  const trusted = new TrustedPublishers(publisherFolder(context));
  await trusted.add(petname, id, { replace: options['replace'] === true, signal });
  terminal.event({ event: 'publisher', petname, publisher: id, from: 'trusted', used: false });
  terminal.print(`${petname} is ${id}`);
  return EXIT.ok;
}

/** `swarm keys forget`: takes the petname back. */
export async function runKeysForget(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const petname = String(options['petname']);
  await new TrustedPublishers(publisherFolder(context)).remove(petname, context.signal);
  context.terminal.event({ event: 'forgotten', petname });
  context.terminal.print(`${petname} is nobody any more`);
  return EXIT.ok;
}

/** Tells a key that was made or asked for. */
export function tellKey({ terminal }: CommandContext, { petname, id, file }: RingKey): void {
  terminal.event({ event: 'key', petname, publisher: id, file });
  printPairs(
    terminal,
    [
      ['petname', petname],
      ['publisher', id],
      ['file', file],
    ],
    0,
  );
}

/** A petname that already means another publisher must not begin to mean a key of one's own. */
export async function checkFree(context: CommandContext, petname: string): Promise<void> {
  const known = (await listPublishers(context)).find((other) => other.petname === petname);
  if (known === undefined) return;
  throw new InvalidInputError(`petname '${petname}' is that of ${known.id} (${known.from})`);
}
