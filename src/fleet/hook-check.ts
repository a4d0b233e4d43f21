import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { ConfigError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';

/** True when a hook is an address that gets a POST; every other is a program. */
export function isHookAddress(hook: string): boolean {
  return /^https?:/i.test(hook);
}

/**
 * Looks whether a provision hook can be told anything, so that whoever misspelt it hears of it now and not when the first machine is
 * missing. Of an address only the form is looked at: who listens there may start later.
 *
 * @param environment whose `PATH` the program will be looked for in
 * @throws {ERR_CONFIG} when it is neither an address nor a program that may be run.
 */
export async function checkProvisionHook(
  hook: string | undefined,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<void> {
  if (hook === undefined) return;
  if (isHookAddress(hook)) {
    if (!URL.canParse(hook) || new URL(hook).hostname === '') throw wrong(hook, 'is no address');
    return;
  }
  const faults = await Promise.all(
    placesOf(hook, environment['PATH'] ?? '').map((file) => faultOf(file)),
  );
  if (faults.includes(undefined)) return;
  const found = faults.find((fault) => fault !== ABSENT);
  throw wrong(hook, found ?? ABSENT);
}

const ABSENT = 'does not exist';

/** Where the system looks for a program of this name: a bare one is searched for in PATH. */
function placesOf(program: string, searched: string): readonly string[] {
  const isBare = path.basename(program) === program;
  const folders = isBare ? searched.split(path.delimiter) : [''];
  // Windows alone adds an ending to what has none.
  const endings =
    process.platform === 'win32' && path.extname(program) === '' ? ['.exe', '.com', ''] : [''];
  return folders.flatMap((folder) =>
    endings.map((ending) => path.resolve(folder, `${program}${ending}`)),
  );
}

/** Why a file cannot be run; undefined when it can. */
async function faultOf(file: string): Promise<string | undefined> {
  try {
    if (!(await stat(file)).isFile()) return 'is no file';
    await access(file, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return ABSENT;
    return code === 'EACCES' ? 'may not be executed' : `cannot be looked at (${code})`;
  }
}

function wrong(hook: string, fault: string): ConfigError {
  return new ConfigError(
    `--provision ${quoted(hook)} ${fault}, expected an http(s) address or a program that can be run`,
  );
}
