import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { Logger } from 'pino';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { InvalidModelError } from '../../protocols/errors.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { syncFolder } from '../../src/swarm/durable-file.ts';
import type { ModelFiles } from './backend.ts';
import { PREPACKED_MODEL, PREPACKED_WEIGHTS } from './prepacked-files.ts';

/** Bytes of a version's files from which the form pays: below, a process's own 90 MiB are what it costs. */
const DEFAULT_MIN_PREPACKED_BYTES = 32 * 1024 * 1024;

/** Times the files' bytes that the form may take: matrices are kept as they were and laid out, measured 2.0 at most. */
const MAX_GROWTH = 2.5;

/** Times the files' bytes of memory that making the form takes: measured 2.6. */
const MAKING_GROWTH = 3;

/** Versions remembered whose form could not be made or answered wrongly. */
const MAX_REFUSED = 1_000;

/** A model in the form that this host's processor and runtime take as it is. */
export interface PrepackedModel {
  /** Absolute path of the folder that holds the two files and nothing else. */
  readonly directory: string;
  /** Bytes of the weights: in memory once for all processes that read them in place. */
  readonly weightBytes: number;
}

export interface PrepackedCacheInit {
  /** Absolute path of the folder in which each version has one. */
  readonly folder: string;
  /** Whether so many bytes more may lie there. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
  /** Reserves memory for the process that makes a form, and says how it is given back; undefined when there is none. */
  readonly reserve: (cid: VersionCid, bytes: number) => Promise<(() => void) | undefined>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Bytes of files from which a form is made. @default 32 MiB */
  readonly minBytes?: number | undefined;
}

export interface PrepackedRequest {
  /** How far the publisher wants the graph optimized. @default as far as the runtime does by itself */
  readonly optimization: string | undefined;
  readonly signal: AbortSignal;
  /** Makes the form in a folder that it names; whoever asked takes the files and removes the folder. */
  readonly make: () => Promise<string>;
}

/**
 * Prepacked forms of models, made once on this host and kept on its disk: never taken from a peer. Each is bound to the runtime's
 * version, the processor, and how far the graph is optimized; a form of another kind goes when a new one is made.
 */
export class PrepackedCache {
  readonly #init: PrepackedCacheInit;
  readonly #making = new Map<string, Promise<PrepackedModel | undefined>>();
  /** Why a version has none, until this process ends. */
  readonly #refused = new BoundedMap<VersionCid, string>(MAX_REFUSED);
  #host: string | undefined;

  constructor(init: PrepackedCacheInit) {
    this.#init = init;
  }

  /**
   * The form of a model, made when missing, once for all who ask meanwhile; undefined where it does not pay or cannot be had, and the
   * files serve as they are.
   *
   * @throws the signal's reason when it aborts.
   */
  async of(files: ModelFiles, request: PrepackedRequest): Promise<PrepackedModel | undefined> {
    if (this.#refused.has(files.cid)) return undefined;
    const directory = path.join(this.#init.folder, files.cid, this.#kind(request.optimization));
    const found = await prepackedIn(directory);
    if (found !== undefined) return found;
    let making = this.#making.get(directory);
    if (making === undefined) {
      making = this.#make(files, directory, request).finally(() => this.#making.delete(directory));
      this.#making.set(directory, making);
    }
    const form = await making;
    request.signal.throwIfAborted();
    return form;
  }

  /** Gives a version's form up: it is not what the publisher's files are. False when there was none. */
  async refuse(cid: VersionCid, reason: string): Promise<boolean> {
    const folder = path.join(this.#init.folder, cid);
    const kinds = await readdir(folder).catch(() => []);
    if (kinds.length === 0) return false;
    this.#refused.set(cid, reason);
    this.#init.logger.warn({ cid, reason }, 'prepacked form of the version is not used');
    await rm(folder, { recursive: true, force: true });
    return true;
  }

  async #make(
    files: ModelFiles,
    directory: string,
    { signal, make }: PrepackedRequest,
  ): Promise<PrepackedModel | undefined> {
    const { minBytes = DEFAULT_MIN_PREPACKED_BYTES, hasRoom, reserve, logger } = this.#init;
    const modelBytes = await bytesIn(files.directory);
    if (modelBytes < minBytes) return undefined;
    // Both for the moment only: they are asked again at the next load.
    if (!(await hasRoom(modelBytes * MAX_GROWTH))) return undefined;
    const release = await reserve(files.cid, modelBytes * MAKING_GROWTH);
    if (release === undefined) return undefined;
    const startedAtMs = performance.now();
    try {
      const made = await make();
      const form = await this.#adopt(made, directory, modelBytes * MAX_GROWTH);
      const ms = Math.round(performance.now() - startedAtMs);
      logger.info({ cid: files.cid, bytes: form.weightBytes, ms }, 'prepacked form made');
      return form;
    } catch (error) {
      // Whoever had it made is gone, which says nothing of the model: the next load makes it.
      if (signal.aborted) return undefined;
      this.#refused.set(files.cid, error instanceof Error ? error.message : String(error));
      logger.warn({ err: error, cid: files.cid }, 'prepacked form of the version cannot be made');
      return undefined;
    } finally {
      release();
    }
  }

  /**
   * Takes the two files over from where a model's process has left them, durably and in one step. The process may have been taken
   * over by its model: what it left is looked at, though it can harm its own version alone.
   */
  async #adopt(made: string, directory: string, maxBytes: number): Promise<PrepackedModel> {
    const parent = path.dirname(directory);
    await rm(parent, { recursive: true, force: true });
    await mkdir(parent, { recursive: true });
    const staging = await mkdtemp(path.join(parent, 'made-'));
    try {
      let bytes = 0;
      for (const name of [PREPACKED_MODEL, PREPACKED_WEIGHTS]) {
        const found = await lstat(path.join(made, name)).catch(() => undefined);
        if (found?.isFile() !== true || found.nlink !== 1) {
          throw new InvalidModelError(`prepacking left no file '${name}'`);
        }
        bytes += found.size;
        await rename(path.join(made, name), path.join(staging, name));
      }
      if (bytes > maxBytes) {
        throw new InvalidModelError(
          `prepacked form has ${bytes} bytes, expected at most ${maxBytes}`,
        );
      }
      for (const name of [PREPACKED_MODEL, PREPACKED_WEIGHTS]) {
        await using file = await open(path.join(staging, name), 'r+');
        await file.sync();
      }
      await rename(staging, directory);
      await syncFolder(parent);
    } catch (error) {
      await rm(parent, { recursive: true, force: true });
      throw error;
    } finally {
      await rm(made, { recursive: true, force: true });
    }
    const form = await prepackedIn(directory);
    if (form === undefined) throw new InvalidModelError('prepacked form left the disk again');
    return form;
  }

  #kind(optimization: string | undefined): string {
    this.#host ??= describeHost();
    const text = `${this.#host}\n${optimization ?? 'default'}`;
    return createHash('sha256').update(text).digest('hex').slice(0, 16);
  }
}

async function prepackedIn(directory: string): Promise<PrepackedModel | undefined> {
  try {
    await stat(path.join(directory, PREPACKED_MODEL));
    const { size } = await stat(path.join(directory, PREPACKED_WEIGHTS));
    return { directory, weightBytes: size };
  } catch {
    // Not there, or in part: then there is none.
    return undefined;
  }
}

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory);
  const sizes = names.map(async (name) => (await stat(path.join(directory, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** What the form depends on besides the model: the runtime, and what the processor can do. */
function describeHost(): string {
  const require = createRequire(import.meta.url);
  let version = '';
  try {
    ({ version } = require('onnxruntime-node/package.json') as { version: string });
  } catch {
    // Not installed: whoever loads a model says so.
  }
  return [version, process.platform, process.arch, os.cpus()[0]?.model, cpuFlags()].join('\n');
}

function cpuFlags(): string {
  if (process.platform !== 'linux') return '';
  const text = readFileSync('/proc/cpuinfo', 'latin1');
  return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '';
}
