import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidRecordError, StoreError } from '../../protocols/errors.ts';
import { ensureFolder } from '../model/ensured-folder.ts';
import { writeDurably } from '../swarm/durable-file.ts';
import { decodeEvidence, type Evidence, encodeEvidence, MAX_EVIDENCE_BYTES } from './evidence.ts';
import { type EvidenceStore, MAX_EVIDENCE } from './evidence-book.ts';

const SUFFIX = '.evidence';

/** A piece of evidence and where it lies. */
export interface KeptEvidence {
  readonly file: string;
  readonly evidence: Evidence;
}

/** Evidence in a folder, a file each; nothing is made before the first is kept. */
export class EvidenceFolder implements EvidenceStore {
  readonly #folder: string;

  /** @param dataDir the data folder of a client */
  constructor(dataDir: string) {
    this.#folder = path.join(dataDir, 'evidence');
  }

  async read(): Promise<readonly Evidence[]> {
    return (await this.list()).map(({ evidence }) => evidence);
  }

  /**
   * All that was kept, the oldest first.
   *
   * @throws {ERR_STORE} when a file cannot be read or is no evidence: it names the file, which may be removed.
   */
  async list(): Promise<readonly KeptEvidence[]> {
    const names = await this.#names();
    const kept = await Promise.all(names.map((name) => readKept(path.join(this.#folder, name))));
    return kept.filter((one) => one !== undefined);
  }

  /** @throws {ERR_STORE} when it cannot be written. */
  async keep(evidence: Evidence): Promise<void> {
    const file = path.join(this.#folder, nameOf(evidence));
    await ensureFolder(this.#folder, 0o700);
    try {
      // It holds what the user asked: for nobody else's eyes.
      await writeDurably(file, encodeEvidence(evidence), 0o600);
      await this.#trim();
    } catch (cause) {
      throw new StoreError(`evidence ${file} cannot be written: ${String(cause)}`, { cause });
    }
  }

  /** Doubts go first, for a lie counts for good. */
  async #trim(): Promise<void> {
    const names = await this.#names();
    const last = [...names.filter((name) => !isLie(name)), ...names.filter(isLie)];
    const tooMany = last.slice(0, Math.max(0, names.length - MAX_EVIDENCE));
    for (const name of tooMany) await rm(path.join(this.#folder, name), { force: true });
  }

  /** Their names, which begin with the time. */
  async #names(): Promise<readonly string[]> {
    try {
      const names = await readdir(this.#folder);
      return names.filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.')).toSorted();
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
      throw new StoreError(`evidence folder ${this.#folder} cannot be read: ${String(cause)}`, {
        cause,
      });
    }
  }
}

function nameOf({ atMs, charge, accused }: Evidence): string {
  return `${String(atMs).padStart(15, '0')}-${charge.replaceAll(' ', '-')}-${accused.node}${SUFFIX}`;
}

function isLie(name: string): boolean {
  return name.split('-')[1] === 'lie';
}

/** Undefined when it is gone: another process of the same user made room. */
async function readKept(file: string): Promise<KeptEvidence | undefined> {
  try {
    const { size } = await stat(file);
    if (size > MAX_EVIDENCE_BYTES) {
      throw new InvalidRecordError(`has ${size} bytes, expected at most ${MAX_EVIDENCE_BYTES}`);
    }
    return { file, evidence: decodeEvidence(await readFile(file)) };
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(`evidence ${file} cannot be read: ${text}. Remove it to go on without`, {
      cause,
    });
  }
}
