import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError, NotFoundError, StoreError } from '../../../protocols/errors.ts';
import { PACKAGE_FILE_NAME } from '../package-file.ts';
import { findSnapshot, HUB_CACHE_PREFIX, isHubConfig } from './hub-snapshot.ts';
import { isTritonModel, TRITON_CONFIG_NAME } from './triton-repository.ts';

/** What a path or address turned out to be, and so how a package is made of it. */
export type ModelOrigin =
  /** A lone .onnx file; what external data it refers to comes along. */
  | { readonly kind: 'file'; readonly location: string }
  /** A package already: all of its files belong to it. */
  | { readonly kind: 'folder'; readonly location: string }
  /** A model of a Triton repository: `config.pbtxt` and numbered version folders, or these alone. */
  | { readonly kind: 'triton'; readonly location: string }
  /** A checkout of a Hugging Face repository, or a revision in the hub's cache. */
  | { readonly kind: 'hugging-face'; readonly location: string }
  | { readonly kind: 'url'; readonly location: string };

const ADDRESS = /^([a-z][a-z0-9+.-]*):\/\//i;

/** Bytes of a config.json that is looked into. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Names that an error lists. */
const MAX_SHOWN = 12;

/**
 * Says what a path or address is. A folder with a `swarm.json` is a package, whatever else is in it.
 *
 * @param model which one, where a folder holds several: a Triton repository, the hub's cache
 * @throws {ERR_NOT_FOUND} when nothing is there, or no model of that name.
 * @throws {ERR_INVALID_INPUT} when there are several models and none is named, or the scheme is unknown.
 */
export async function recogniseOrigin(what: string, model?: string): Promise<ModelOrigin> {
  const scheme = ADDRESS.exec(what)?.[1]?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') return only({ kind: 'url', location: what }, model);
  if (scheme !== undefined) {
    throw new InvalidInputError(`address scheme '${scheme}' is not known, expected https`);
  }
  const found = await stat(what).catch((cause: unknown) => {
    throw notReadable(what, cause);
  });
  if (!found.isDirectory()) return only({ kind: 'file', location: what }, model);
  return recogniseFolder(what, model);
}

async function recogniseFolder(folder: string, model: string | undefined): Promise<ModelOrigin> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw notReadable(folder, cause);
  });
  const names = new Set(entries.map(({ name }) => name));
  if (names.has(PACKAGE_FILE_NAME)) return only({ kind: 'folder', location: folder }, model);
  if (names.has(TRITON_CONFIG_NAME) || (await isTritonModel(folder))) {
    return only({ kind: 'triton', location: folder }, model);
  }
  if ((await findSnapshot(folder)) !== undefined || (await isCheckout(folder, names))) {
    return only({ kind: 'hugging-face', location: folder }, model);
  }
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const cached = folders.filter((name) => name.startsWith(HUB_CACHE_PREFIX)).sort();
  if (cached.length > 0) {
    const chosen = choose(folder, cached.map(hubName), model);
    const location = path.join(folder, `${HUB_CACHE_PREFIX}${chosen.replaceAll('/', '--')}`);
    return { kind: 'hugging-face', location };
  }
  const models: string[] = [];
  for (const name of folders.sort()) {
    if (await isTritonModel(path.join(folder, name))) models.push(name);
  }
  if (models.length > 0) {
    return { kind: 'triton', location: path.join(folder, choose(folder, models, model)) };
  }
  return only({ kind: 'folder', location: folder }, model);
}

/** A folder of ONNX variants, or a flat one whose config.json is of that library. */
async function isCheckout(folder: string, names: ReadonlySet<string>): Promise<boolean> {
  if (names.has('onnx')) {
    const within = await readdir(path.join(folder, 'onnx')).catch(() => []);
    if (within.some((name) => name.endsWith('.onnx'))) return true;
  }
  if (!names.has('config.json')) return false;
  const file = path.join(folder, 'config.json');
  const { size } = await stat(file).catch(() => ({ size: Number.POSITIVE_INFINITY }));
  return size <= MAX_CONFIG_BYTES && isHubConfig(await readFile(file, 'utf8').catch(() => ''));
}

function choose(folder: string, models: readonly string[], wanted: string | undefined): string {
  const rest = models.length > MAX_SHOWN ? `, and ${models.length - MAX_SHOWN} more` : '';
  const found = `${models.slice(0, MAX_SHOWN).join(', ')}${rest}`;
  if (wanted !== undefined) {
    if (models.includes(wanted)) return wanted;
    throw new NotFoundError(`'${folder}' has no model '${wanted}', found: ${found}`);
  }
  const [first] = models;
  if (first !== undefined && models.length === 1) return first;
  throw new InvalidInputError(
    `'${folder}' has ${models.length} models, expected the name of one (--model), found: ${found}`,
  );
}

/** What is one model alone needs no name of one. */
function only(origin: ModelOrigin, model: string | undefined): ModelOrigin {
  if (model === undefined) return origin;
  throw new InvalidInputError(
    `'${origin.location}' is one model, expected no name of one (--model), found '${model}'`,
  );
}

/** `models--org--name` as `org/name`. */
function hubName(folder: string): string {
  return folder.slice(HUB_CACHE_PREFIX.length).replace('--', '/');
}

function notReadable(location: string, cause: unknown): Error {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new NotFoundError(
      `'${location}' does not exist, expected an .onnx file, a folder with a model, or an https address`,
      { cause },
    );
  }
  return new StoreError(`'${location}' cannot be read: ${code}`, { cause });
}
