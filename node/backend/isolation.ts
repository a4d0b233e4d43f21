import { execFile } from 'node:child_process';
import { access, mkdtemp, readlink, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ConfigError } from '../../protocols/errors.ts';
import { OwnRoot, type SeenFolders } from './own-root.ts';

const execute = promisify(execFile);

/** Milliseconds the trial may take; some tens are usual. */
const TRIAL_TIMEOUT_MS = 5_000;

/** Characters of a failed trial's words that are kept. */
const MAX_REASON = 200;

/** Where util-linux puts its programs. Not by PATH: what is run here decides what a stranger's code can reach. */
const PROGRAM_FOLDERS = ['/usr/bin', '/bin', '/run/current-system/sw/bin', '/usr/sbin', '/sbin'];

/** What an owner may ask for: as much as the host gives, no node without it, or none. */
export const ISOLATION_MODES = ['auto', 'required', 'off'] as const;
export type IsolationMode = (typeof ISOLATION_MODES)[number];

/** What stands between a model's process and its host, besides its being another process. */
export interface Isolation {
  /**
   * `namespaces`: no network but an empty loopback, no other process's memory, no privilege to be had, none of the
   * node's secrets on the disk. `process`: whatever the daemon's user may do.
   */
  readonly kind: 'namespaces' | 'process';
  /** Why it is no more than a process. */
  readonly reason?: string;
  /** Command and first arguments that the process's own command line follows; empty for none. */
  readonly launcher: readonly string[];
  /**
   * As {@link launcher}, for a process that sees no files of the host but the system's, the node's programs and its own
   * folders, all but one of them read-only; undefined where the host does not allow that.
   */
  readonly confine?: (seen: SeenFolders) => readonly string[];
}

export interface IsolationInit {
  /** Absolute paths of files and folders the process must not see; those that are not there when it starts stay so. @default [] */
  readonly hidden?: readonly string[];
  /** Absolute path of the node's data folder, of which a process sees nothing but its own folders where it can be confined. @default none */
  readonly dataDir?: string;
  /** @default that of this process */
  readonly platform?: NodeJS.Platform;
  /** Folders to look for programs in. */
  readonly programFolders?: readonly string[];
}

/**
 * Covers each path given before `--` by nothing, gives all privileges of the namespace away for good, and becomes the
 * rest. A crash on purpose must not fill the disk with images of memory, which hold callers' tensors: no core files.
 */
const LAUNCH_SCRIPT = `
mount=$1; setpriv=$2; shift 2
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then "$mount" -t tmpfs -o ro,size=4k,mode=0700 none "$1" || exit 125
  elif [ -e "$1" ]; then "$mount" --bind /dev/null "$1" || exit 125
  fi
  shift
done
ulimit -c 0
exec "$setpriv" --no-new-privs --ambient-caps=-all --inh-caps=-all --bounding-set=-all "$@"
`.trim();

/**
 * Makes a tree of its own from a table of mounts, gives all privileges away as {@link LAUNCH_SCRIPT} does,
 * and becomes the rest in there. Of `/proc` it can write what is its own: CUDA's driver names its threads there, and does not
 * start (error 304) where it cannot.
 */
const CONFINE_SCRIPT = `
mount=$1; mkdir=$2; chroot=$3; setpriv=$4; sh=$5; root=$6; folder=$7; table=$8; shift 8
"$mount" -t tmpfs -o size=1m,mode=0755 none "$root" || exit 125
while [ "$1" != -- ]; do
  [ -d "\${1%/*}" ] || "$mkdir" -p "\${1%/*}" || exit 125
  : > "$1" || exit 125
  shift
done
shift
printf %s "$table" > "$root/fstab"
"$mount" --all --fstab "$root/fstab" || exit 125
"$mount" --bind "/proc/$$" "$root/proc/$$" || exit 125
"$mount" -o remount,bind,ro "$root" || exit 125
ulimit -c 0
exec "$chroot" "$root" "$sh" -c 'cd "$1" && shift && exec "$@"' enter "$folder" \
  "$setpriv" --no-new-privs --ambient-caps=-all --inh-caps=-all --bounding-set=-all "$@"
`.trim();

/** Says which network it is in, and what it may do. */
const TRIAL_SCRIPT = '"$1" /proc/self/ns/net && exec "$2" /proc/self/status';

/** A process and no more. */
function processIsolation(reason: string): Isolation {
  return { kind: 'process', reason, launcher: [] };
}

/**
 * Finds out, by trying, how far this host lets an ordinary user shut a process in.
 *
 * On Linux these are namespaces of its own for users, network, mounts and IPC, made by util-linux's `unshare`. Devices stay as they
 * are, so GPUs work inside. The process keeps its id and its parent: nothing forks.
 */
export async function findIsolation(init: IsolationInit = {}): Promise<Isolation> {
  const { hidden = [], dataDir, platform = process.platform } = init;
  const { programFolders = PROGRAM_FOLDERS } = init;
  if (platform !== 'linux') {
    return processIsolation(`${platform} has no such means that needs no administrator`);
  }
  const programs: string[] = [];
  for (const name of ['unshare', 'mount', 'setpriv', 'sh', 'readlink', 'cat']) {
    const program = await findProgram(name, programFolders);
    if (program === undefined) {
      return processIsolation(`${name} is not in ${programFolders.join(', ')}`);
    }
    programs.push(program);
  }
  const [unshare = '', mount = '', setpriv = '', sh = '', ...lookers] = programs;
  const namespaces = [
    unshare,
    ...['--user', '--map-current-user', '--keep-caps', '--net', '--ipc', '--mount', '--'],
  ];
  const launcher = [
    ...namespaces,
    ...[sh, '-c', LAUNCH_SCRIPT, 'launch', mount, setpriv, ...hidden, '--'],
  ];
  const trial = [sh, '-c', TRIAL_SCRIPT, 'try', ...lookers];
  const fault = await tryLauncher([...launcher, ...trial]);
  if (fault !== undefined) return processIsolation(fault);
  const chroot = await findProgram('chroot', programFolders);
  const makeFolder = await findProgram('mkdir', programFolders);
  if (chroot === undefined || makeFolder === undefined) return { kind: 'namespaces', launcher };
  const confine = createConfine(
    [
      ...namespaces,
      ...[sh, '-c', CONFINE_SCRIPT, 'confine', mount, makeFolder, chroot, setpriv, sh],
    ],
    dataDir === undefined ? hidden : [...hidden, dataDir],
  );
  return (await tryConfine(confine, trial))
    ? { kind: 'namespaces', launcher, confine }
    : { kind: 'namespaces', launcher };
}

type Confine = NonNullable<Isolation['confine']>;

function createConfine(command: readonly string[], hidden: readonly string[]): Confine {
  const ownRoot = new OwnRoot({ hidden });
  return (seen) => {
    const { root, table, files } = ownRoot.plan(seen);
    return [...command, root, seen.folder, table, ...files, '--'];
  };
}

/** Whether a process that is confined is shut in like every other, and Node starts in there. */
async function tryConfine(confine: Confine, trial: readonly string[]): Promise<boolean> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-trial-'));
  try {
    const launcher = confine({ folder, writable: [], readable: [] });
    if ((await tryLauncher([...launcher, ...trial])) !== undefined) return false;
    const [command, ...args] = [...launcher, process.execPath, '--version'];
    const { stdout } = await execute(command, args, { timeout: TRIAL_TIMEOUT_MS, env: {} });
    return stdout.trim() === process.version;
  } catch {
    // Then as far as the namespaces alone go, which is what the caller says of it.
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * What a node's owner asked for, as far as this host has it.
 *
 * @throws {ERR_CONFIG} when it is required and not to be had.
 */
export async function establishIsolation(
  mode: IsolationMode,
  init: IsolationInit = {},
): Promise<Isolation> {
  if (mode === 'off') return processIsolation("the owner's setting switches it off");
  const isolation = await findIsolation(init);
  if (mode === 'required' && isolation.kind === 'process') {
    throw new ConfigError(
      `isolation is 'required', but models' processes cannot be shut in on this host: ${isolation.reason}`,
    );
  }
  return isolation;
}

/** The same without {@link Isolation.confine}. */
export function withHostFiles({ confine: _confine, ...rest }: Isolation): Isolation {
  return rest;
}

let ofThisHost: Promise<Isolation> | undefined;

/** As much as this host gives, for processes with nothing to hide but what they are; found out once. */
export async function hostIsolation(): Promise<Isolation> {
  ofThisHost ??= findIsolation();
  return ofThisHost;
}

async function findProgram(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const program = path.join(folder, name);
    try {
      await access(program);
      return program;
    } catch {
      // Elsewhere, then.
    }
  }
  return undefined;
}

/** Why the launcher does not do what it is for; undefined when it does. */
async function tryLauncher([command = '', ...args]: readonly string[]): Promise<
  string | undefined
> {
  let said: string;
  try {
    ({ stdout: said } = await execute(command, args, { timeout: TRIAL_TIMEOUT_MS, env: {} }));
  } catch (error) {
    const { stderr, message } = error as { stderr?: unknown; message: string };
    const words = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : message;
    return words.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_REASON);
  }
  // By its number, not by what is in it: some kernels put tunnels that lead nowhere into each new network.
  const network = /^net:\[\d+\]$/m.exec(said)?.[0];
  if (network === undefined || network === (await readlink('/proc/self/ns/net'))) {
    return 'the network is still that of the node';
  }
  const privileges = /^CapBnd:\t0+$/m.test(said) && /^NoNewPrivs:\t1$/m.test(said);
  return privileges ? undefined : 'privileges could not be given away';
}
