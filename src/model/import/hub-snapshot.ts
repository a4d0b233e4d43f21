import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import {
  InvalidInputError,
  InvalidModelError,
  NotFoundError,
  StoreError,
} from '../../../protocols/errors.ts';
import { quoted } from '../../../protocols/quoted.ts';

/** How the hub's cache names the folder of a model: `models--org--name`. */
export const HUB_CACHE_PREFIX = 'models--';

/** One revision of a hub repository on this disk. */
export interface HubSnapshot {
  /** The folder with the files of the revision, as their links or themselves. */
  readonly folder: string;
  /** Links of the files may lead anywhere in here and nowhere else; null where there must be none, as in a checkout. */
  readonly linkRoot: string | null;
  /** `org/name`, null where the folders do not say. */
  readonly repository: string | null;
  /** The commit, null where the folders do not say. */
  readonly revision: string | null;
}

/**
 * The revision that a folder of the hub's cache means: the folder of a revision itself; of a model the one that `main` points
 * at, or its only one. Undefined when the folder is not of the cache.
 *
 * @see https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 * @throws {ERR_NOT_FOUND} when the model has no revision here. {ERR_INVALID_INPUT} when it has several and none is `main`.
 */
export async function findSnapshot(location: string): Promise<HubSnapshot | undefined> {
  const folder = path.resolve(location);
  const parent = path.dirname(folder);
  const model = path.dirname(parent);
  if (path.basename(parent) === 'snapshots' && isModelFolder(model)) {
    return snapshotOf(model, path.basename(folder));
  }
  if (!isModelFolder(folder)) return undefined;
  const revisions = await readdir(path.join(folder, 'snapshots')).catch(() => undefined);
  if (revisions === undefined) return undefined;
  const main = await readFile(path.join(folder, 'refs', 'main'), 'utf8').catch(() => undefined);
  const wanted = main?.trim();
  if (wanted !== undefined && revisions.includes(wanted)) return snapshotOf(folder, wanted);
  const [only] = revisions;
  if (only !== undefined && revisions.length === 1) return snapshotOf(folder, only);
  if (revisions.length === 0) {
    throw new NotFoundError(`'${location}' has no revision, expected one in snapshots/`);
  }
  throw new InvalidInputError(
    `'${location}' has ${revisions.length} revisions and none is main, expected the folder of one: ${revisions.sort().slice(0, 8).join(', ')}`,
  );
}

/** A checkout, whose files are themselves. */
export function checkoutOf(folder: string): HubSnapshot {
  return { folder, linkRoot: null, repository: null, revision: null };
}

/** True for the config.json of a model of the hub's libraries. */
export function isHubConfig(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    return ['architectures', 'model_type', 'transformers_version'].some((key) => key in value);
  } catch {
    // Some other config.json.
    return false;
  }
}

/**
 * The file behind a name of a snapshot. This is the one place where a link is followed, and only within the cache's own folder
 * of that model.
 *
 * @returns its path with no link in it, undefined when there is no such name
 * @throws {ERR_INVALID_MODEL} that names a link out of the cache, or what is no regular file.
 * @throws {ERR_NOT_FOUND} when the link leads to a file that is not there.
 */
export async function resolveHubFile(
  { folder, linkRoot }: HubSnapshot,
  name: string,
): Promise<string | undefined> {
  const file = path.join(folder, name);
  const found = await lstat(file).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new StoreError(`file ${quoted(name)} cannot be read: ${String(code ?? cause)}`, {
      cause,
    });
  });
  if (found === undefined) return undefined;
  if (found.isSymbolicLink() && linkRoot === null) {
    throw refused(name, 'is a symbolic link, expected the file itself');
  }
  // Also a plain name may lie in a folder that is a link.
  const target = await realpath(file).catch((cause: unknown) => {
    throw new NotFoundError(
      `${quoted(name)} is a link to a file that is not there: was the download completed?`,
      { cause },
    );
  });
  const root = await realpath(linkRoot ?? folder);
  const inside = path.relative(root, target);
  if (inside === '' || inside.startsWith('..') || path.isAbsolute(inside)) {
    throw refused(name, `is a link out of '${linkRoot ?? folder}'`);
  }
  if ((await lstat(target)).isFile()) return target;
  throw refused(name, 'is no regular file');
}

function isModelFolder(folder: string): boolean {
  return path.basename(folder).startsWith(HUB_CACHE_PREFIX);
}

function snapshotOf(model: string, revision: string): HubSnapshot {
  return {
    folder: path.join(model, 'snapshots', revision),
    linkRoot: model,
    repository: path.basename(model).slice(HUB_CACHE_PREFIX.length).replace('--', '/'),
    revision,
  };
}

function refused(name: string, fault: string): InvalidModelError {
  return new InvalidModelError(`file ${quoted(name)} ${fault}`, { details: { file: name } });
}
