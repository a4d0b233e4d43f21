import { createHash, randomBytes, randomInt } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { StoreError } from '../../protocols/errors.ts';
import { ensureFolder } from '../model/ensured-folder.ts';

/** How long another process is waited for: a turn takes the seconds of a DHT look-up and a put. */
const DEFAULT_WAIT_MS = 20_000;

/** Waits between tries, drawn at random: two that met must not meet again. */
const RETRY_MS = [20, 120] as const;

export interface TurnOptions {
  /** Who holds the turn, for those who wait: `swarm release set`. */
  readonly holder: string;
  /** What whoever has the turn does with it, for those who wait. @default 'is signing a release of this model' */
  readonly doing?: string | undefined;
  readonly signal: AbortSignal;
  /** @default 20000 */
  readonly waitMs?: number | undefined;
}

interface Holder {
  readonly pid: number;
  readonly startTicks: string;
  readonly hostTag: string;
}

/** `<pid>-<start>-<random>@<host>`: the name alone says whether its process lives, also when the file is still empty. */
const ENTRY = /^(\d{1,10})-(\d{1,20})-[0-9a-f]{12}@([0-9a-f]{16})$/;

const noteSchema = z.object({ holder: z.string().max(200), since: z.string().max(40) });

/**
 * Waits until no other process holds the turn that a folder stands for, and takes it until it is disposed.
 *
 * Each comer puts down a file of its own and then looks for others, so that of two at once at least one sees the other and
 * steps back. A file of a process that is dead is nobody's turn; its name is never used again, so anyone may remove it.
 *
 * @throws {ERR_STORE} when another process still has it after `waitMs`; names that process.
 */
export async function takeTurn(folder: string, options: TurnOptions): Promise<AsyncDisposable> {
  const { signal, holder, waitMs = DEFAULT_WAIT_MS } = options;
  const { doing = 'is signing a release of this model' } = options;
  const until = performance.now() + waitMs;
  const name = `${process.pid}-${await startTicks(process.pid)}-${randomBytes(6).toString('hex')}@${hostTag()}`;
  const own = path.join(folder, name);
  for (;;) {
    signal.throwIfAborted();
    await putDown(own, holder);
    const other = await findOther(folder, name);
    if (other === undefined) return { [Symbol.asyncDispose]: () => rm(own, { force: true }) };
    await rm(own, { force: true });
    if (performance.now() >= until) throw await busy(path.join(folder, other), doing);
    await delay(randomInt(...RETRY_MS), undefined, { signal });
  }
}

async function putDown(file: string, holder: string): Promise<void> {
  await ensureFolder(path.dirname(file), 0o700);
  try {
    await writeFile(file, JSON.stringify({ holder, since: new Date().toISOString() }), {
      flag: 'wx',
      mode: 0o600,
    });
  } catch (cause) {
    throw new StoreError(`turn ${file} cannot be taken: ${String(cause)}`, { cause });
  }
}

/** The name of a file whose process may live. */
async function findOther(folder: string, own: string): Promise<string | undefined> {
  for (const name of await readdir(folder)) {
    const [, pid, ticks, host] = ENTRY.exec(name) ?? [];
    if (name === own || pid === undefined || ticks === undefined || host === undefined) continue;
    if (await mayLive({ pid: Number(pid), startTicks: ticks, hostTag: host })) return name;
    await rm(path.join(folder, name), { force: true });
  }
  return undefined;
}

/** False only when the process is surely gone; of another machine nothing is known. */
async function mayLive(holder: Holder): Promise<boolean> {
  if (holder.hostTag !== hostTag()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives, and is another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
  const ticks = await startTicks(holder.pid);
  // A number that was given again belongs to a process that started at another time.
  return ticks === '0' || holder.startTicks === '0' || ticks === holder.startTicks;
}

/**
 * When a process started, in clock ticks since the machine did; `0` where the system does not tell.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22
 */
async function startTicks(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything.
    return (
      stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')[19]
        ?.match(/^\d+$/)?.[0] ?? '0'
    );
  } catch {
    // Not Linux, or the process has just gone: the signal told what is known.
    return '0';
  }
}

async function busy(file: string, doing: string): Promise<StoreError> {
  const pid = Number(ENTRY.exec(path.basename(file))?.[1]);
  let note: z.infer<typeof noteSchema> | undefined;
  try {
    note = noteSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    // Gone or not yet written: the process is named all the same.
  }
  const who = note === undefined ? '' : ` (${note.holder}, since ${note.since})`;
  return new StoreError(
    `process ${pid}${who} ${doing}: wait for it to end; when it runs on another machine and is gone, remove ${file}`,
    { details: { pid, holder: note?.holder ?? null, since: note?.since ?? null, file } },
  );
}

function hostTag(): string {
  return createHash('sha256').update(os.hostname()).digest('hex').slice(0, 16);
}
