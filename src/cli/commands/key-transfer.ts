import path from 'node:path';
import { readBounded, readBoundedFile } from '../bounded-file.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { writeNewFile } from '../new-file.ts';
import { parsePetname } from '../petname.ts';
import { openKeyRing } from '../publisher-key.ts';
import {
  MAX_PASSPHRASE_BYTES,
  MAX_SEALED_KEY_BYTES,
  openSealedKey,
  sealKey,
} from '../sealed-key.ts';
import { checkFree, tellKey } from './keys.ts';

/** `swarm keys export`: a key as text that only its passphrase opens. */
export async function runKeysExport(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { petname, id, key } = await openKeyRing(context).get(String(options['petname']));
  const text = await sealKey(key, await readPassphrase(context, options));
  const file = await putOut(context, options['out'], text);
  if (file !== undefined) {
    context.terminal.event({ event: 'exported', petname, publisher: id, file });
    context.terminal.print(`${petname} (${id}) is sealed in ${file}`);
  }
  return EXIT.ok;
}

/** `swarm keys import`: the key in such a text. */
export async function runKeysImport(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const petname = parsePetname(String(options['petname']));
  await checkFree(context, petname);
  const name = String(options['file']);
  const text = await readBoundedFile(path.resolve(context.cwd, name), {
    what: `sealed key ${name}`,
    maxBytes: MAX_SEALED_KEY_BYTES,
    signal: context.signal,
  });
  const key = await openSealedKey(text.toString('utf8'), await readPassphrase(context, options));
  tellKey(context, await openKeyRing(context).add(petname, key));
  return EXIT.ok;
}

/**
 * Text that is data: to a file that is new and the user's alone, whose path is returned, or to stdout.
 *
 * @throws {ERR_INVALID_INPUT} when the file is there. {ERR_STORE} when it cannot be written.
 */
export async function putOut(
  { cwd, terminal }: CommandContext,
  out: string | boolean | undefined,
  text: string,
): Promise<string | undefined> {
  if (out === undefined) {
    terminal.data(text);
    return undefined;
  }
  const file = path.resolve(cwd, String(out));
  await writeNewFile(file, Buffer.from(text));
  return file;
}

/** Never from the command line, which every user of the machine can read. One line break at the end is the editor's. */
async function readPassphrase(context: CommandContext, options: CommandOptions): Promise<string> {
  const { cwd, signal } = context;
  const name = String(options['passphraseFile']);
  const bounds = { maxBytes: MAX_PASSPHRASE_BYTES, signal };
  const bytes =
    name === '-'
      ? await readBounded(context.openStdin(), { what: 'passphrase on standard input', ...bounds })
      : await readBoundedFile(path.resolve(cwd, name), {
          what: `passphrase file ${name}`,
          ...bounds,
        });
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}
