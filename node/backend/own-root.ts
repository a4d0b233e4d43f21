import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where systems keep programs and libraries, and what the loader and graphics drivers look up. */
const SYSTEM_PLACES = [
  ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/opt'],
  ...['/nix/store', '/gnu/store', '/run/current-system', '/run/opengl-driver'],
  ...['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/alternatives'],
  ...['/etc/localtime', '/etc/os-release', '/etc/ssl/openssl.cnf', '/etc/vulkan', '/etc/glvnd'],
  ...['/etc/OpenCL', '/etc/nvidia', '/etc/drirc'],
];

/** What the kernel tells of itself and of its devices. */
const KERNEL_PLACES = [
  '/proc',
  '/sys/devices',
  '/sys/bus',
  '/sys/class',
  '/sys/dev',
  '/sys/module',
];

/** Device files that programs expect, and those of GPU drivers: NVIDIA's, all others', AMD's, Windows' in WSL, Tegra's. */
const DEVICES = /^(?:null|zero|full|random|urandom|nvidia.*|dri|kfd|dxg|nvhost.*|nvmap)$/;

/** Variables that name folders with libraries, or files beside which they are. */
const FOLDER_VARIABLES = ['LD_LIBRARY_PATH', 'CUDA_PATH'];
const FILE_VARIABLES = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES'];

/**
 * The folder that the tree is mounted over, for the process alone: one that each Linux has and nothing is taken from. In the host's
 * own tree it stays what it is.
 */
const ROOT = '/sys/kernel';

type Environment = Readonly<Record<string, string | undefined>>;

export interface OwnRootInit {
  /** Folders of which nothing is seen but what a process is given. */
  readonly hidden: readonly string[];
  /** @default that of this process */
  readonly environment?: Environment | undefined;
}

/** What a process with a root of its own sees beside the system's and Node's files. */
export interface SeenFolders {
  /** Its working directory. */
  readonly folder: string;
  /** Absolute paths of folders that it can write in besides that one. */
  readonly writable: readonly string[];
  /** Absolute paths of folders it can read. */
  readonly readable: readonly string[];
}

/** The file system as one process sees it. */
export interface RootPlan {
  /** Absolute path of the folder that it is mounted over. */
  readonly root: string;
  /** The mounts, as `fstab(5)` has them. */
  readonly table: string;
  /** Paths in {@link root} of files that others are mounted on. */
  readonly files: readonly string[];
}

/** Which files of the host processes see that have a root of their own: found out once for all of them. */
export class OwnRoot {
  readonly #places: readonly string[];
  readonly #hidden: readonly string[];

  constructor({ hidden, environment = process.env }: OwnRootInit) {
    this.#places = outermost(
      [...SYSTEM_PLACES, ...codePlaces(), ...environmentPlaces(environment)].filter((place) =>
        existsSync(place),
      ),
    );
    this.#hidden = hidden.filter(
      (place) => this.#places.some((seen) => contains(seen, place)) && existsSync(place),
    );
  }

  /** The tree of one process. */
  plan({ folder, writable, readable }: SeenFolders): RootPlan {
    const root = ROOT;
    const files: string[] = [];
    const lines: string[] = [];
    const bind = (place: string, options: string): void => {
      const inside = root + place;
      if (!isFolder(place)) files.push(inside);
      // Mounts below are taken along: the kernel refuses to show what they cover.
      lines.push(line(place, inside, isFolder(place) ? `rbind,${options}` : `bind,${options}`));
    };
    for (const place of this.#places) bind(place, 'ro,nosuid,nodev');
    for (const place of KERNEL_PLACES.filter((known) => existsSync(known))) {
      bind(place, 'ro,nosuid,nodev,noexec');
    }
    // A device must stay one: what is mounted is a single file, with the flags that its file system has.
    for (const name of readdirSync('/dev')) if (DEVICES.test(name)) bind(`/dev/${name}`, 'rw');
    for (const place of this.#hidden) lines.push(cover(root + place, isFolder(place)));
    // Flags that the host has set on them may not be taken off, so that all are set.
    for (const place of readable) bind(place, 'ro,nosuid,nodev,noexec');
    for (const place of [folder, ...writable]) lines.push(line(place, root + place, 'bind'));
    return { root, files, table: lines.map((entry) => `${entry}\n`).join('') };
  }
}

/** Node itself, the modules of this package that a model's process runs, and those of others. */
function codePlaces(): string[] {
  const modules = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  const places = ['node', 'protocols', 'src'].map((name) => path.join(modules, name));
  const require = createRequire(import.meta.url);
  for (const name of ['onnxruntime-node/package.json', 'zod/package.json']) {
    try {
      places.push(moduleFolder(require.resolve(name)));
    } catch {
      // Not installed: whoever loads a model says so.
    }
  }
  const links = ancestors(modules).map((folder) => path.join(folder, 'node_modules'));
  const packages = ancestors(modules).map((folder) => path.join(folder, 'package.json'));
  return [process.execPath, realpathSync(process.execPath), ...places, ...links, ...packages];
}

/** The outermost folder of modules that a file lies in: below it modules lead to each other by links. */
function moduleFolder(file: string): string {
  const parts = realpathSync(file).split(path.sep);
  return parts.slice(0, parts.indexOf('node_modules') + 1).join(path.sep);
}

function environmentPlaces(environment: Environment): string[] {
  const named = (names: readonly string[]): string[] =>
    names
      .flatMap((name) => environment[name]?.split(':') ?? [])
      .filter((place) => path.isAbsolute(place));
  const folders = [
    ...named(FOLDER_VARIABLES),
    ...named(FILE_VARIABLES).map((file) => path.dirname(file)),
  ];
  return [...folders, ...folders.filter((place) => existsSync(place)).map((p) => realpathSync(p))];
}

function ancestors(folder: string): string[] {
  const parent = path.dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}

/** Without those that lie in another one. The whole disk is none, whatever a variable says. */
function outermost(places: readonly string[]): string[] {
  const distinct = [...new Set(places.map((place) => path.resolve(place)))];
  return distinct
    .filter((place) => place !== '/')
    .filter((place) => !distinct.some((other) => other !== place && contains(other, place)))
    .toSorted();
}

function contains(folder: string, place: string): boolean {
  return folder !== '/' && (place === folder || place.startsWith(`${folder}/`));
}

function isFolder(place: string): boolean {
  return statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function line(source: string, target: string, options: string): string {
  return `${escaped(source)} ${escaped(target)} none ${options},X-mount.mkdir=0755 0 0`;
}

function cover(target: string, folder: boolean): string {
  return folder
    ? `none ${escaped(target)} tmpfs size=64k,mode=0700 0 0`
    : `/dev/null ${escaped(target)} none bind 0 0`;
}

/** As fstab wants blanks, and what else would end a field. */
function escaped(place: string): string {
  return place.replaceAll(
    /[\s\\#]/g,
    (sign) => `\\${sign.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
