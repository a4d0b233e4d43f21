import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidModelError, StoreError } from '../../protocols/errors.ts';
import { MAX_GOLDEN_BYTES } from '../../protocols/manifest/index.ts';
import { ensureFolder } from '../model/ensured-folder.ts';
import { goldenMadeFor, readGoldenFile } from '../model/golden-file.ts';
import type { ModelInterface } from '../model/model-scan.ts';
import { writeDurably } from '../swarm/durable-file.ts';

/** Golden vectors as a file, and how many cases it has. */
export interface GoldenBytes {
  readonly bytes: Uint8Array;
  readonly cases: number;
}

/**
 * Golden vectors made for models whose source nobody here may write to, a file each, by the model's digest: published again they
 * are the same version, and on another machine too when that finds the file.
 */
export class KeptGolden {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param digest of the model, see {@link digestModel} */
  fileOf(digest: string): string {
    return path.join(this.#folder, `${digest}.golden.json`);
  }

  /** Those that are kept for a model; undefined when none are, or what bears its name is not for it. */
  async find(digest: string, model: ModelInterface): Promise<GoldenBytes | undefined> {
    const file = this.fileOf(digest);
    try {
      if ((await stat(file)).size > MAX_GOLDEN_BYTES) return undefined;
      const bytes = await readFile(file);
      if (goldenMadeFor(bytes) !== digest) return undefined;
      const cases = [...readGoldenFile(bytes, { fileName: path.basename(file), model })];
      return { bytes, cases: cases.length };
    } catch (error) {
      const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      // Damaged ones are made anew.
      if (absent || error instanceof InvalidModelError) return undefined;
      throw refused(file, 'read', error);
    }
  }

  /** Keeps vectors over a power loss. @returns the file */
  async keep(digest: string, bytes: Uint8Array): Promise<string> {
    const file = this.fileOf(digest);
    await ensureFolder(this.#folder, 0o700);
    try {
      await writeDurably(file, bytes);
      return file;
    } catch (cause) {
      throw refused(file, 'written', cause);
    }
  }
}

function refused(file: string, what: string, cause: unknown): StoreError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new StoreError(
    `golden vectors ${file} cannot be ${what}: ${why}, expected a folder of yours in --golden-dir`,
    { cause },
  );
}
