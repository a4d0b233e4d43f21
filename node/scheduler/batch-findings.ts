import { open } from 'node:fs/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { writeDurably } from '../../src/swarm/durable-file.ts';
import type { BatchFinding } from './batch-probe.ts';

/** Findings kept, of all versions and devices; the one that was used longest ago makes room. */
const MAX_FINDINGS = 512;

/** Bytes of the file that are read: all findings together take less than half of them. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Milliseconds for which a probe that did not come to its end is not repeated: what disturbed it may have been passing. */
export const UNFINISHED_AGE_MS = 24 * 3_600_000;

const fileSchema = z.object({
  runtime: z.string(),
  findings: z
    .array(
      z.object({
        cid: z.string().max(128),
        device: z.string().max(512),
        foundAtMs: z.number(),
        maxRows: z.int().min(1).max(65_536),
        reason: z.string().max(512),
        finished: z.boolean(),
        timings: z.array(z.object({ elements: z.number().min(0), ms: z.number().min(0) })).max(32),
        layout: z
          .object({ instances: z.int().min(1).max(1024), threads: z.int().min(1).max(1024) })
          .optional(),
      }),
    )
    .max(MAX_FINDINGS),
});

type KeptFinding = z.infer<typeof fileSchema>['findings'][number];

export interface BatchFindingsInit {
  /** Where they are kept over restarts; in memory alone when undefined. */
  readonly file?: string | undefined;
  /** What all findings depend on besides version and device, such as the runtime's version: others are forgotten. @default '' */
  readonly runtime?: string | undefined;
  readonly logger?: Pick<Logger, 'warn'> | undefined;
}

/** In how many rows, and processes, each version runs best on each device of this host: what took seconds to find out. */
export class BatchFindings {
  readonly #init: BatchFindingsInit;
  readonly #findings = new BoundedMap<string, KeptFinding>(MAX_FINDINGS);
  #writing: Promise<void> = Promise.resolve();
  /** Whether the writing under way has begun before the last change. */
  #stale = false;

  constructor(init: BatchFindingsInit = {}) {
    this.#init = init;
  }

  /** Reads what an earlier process found out; nothing where the file is missing, damaged, or of another runtime. */
  static async open(init: BatchFindingsInit): Promise<BatchFindings> {
    const findings = new BatchFindings(init);
    for (const kept of init.file === undefined ? [] : await readFindings(init.file, init.runtime)) {
      findings.#findings.set(keyOf(kept.cid, kept.device), kept);
    }
    return findings;
  }

  /** @param nowMs milliseconds since 1970 */
  get(cid: VersionCid, device: string, nowMs: number): BatchFinding | undefined {
    const key = keyOf(cid, device);
    const kept = this.#findings.get(key);
    if (kept === undefined) return undefined;
    const ageMs = nowMs - kept.foundAtMs;
    if (!kept.finished && (ageMs < 0 || ageMs > UNFINISHED_AGE_MS)) return undefined;
    this.#findings.set(key, kept);
    const { maxRows, reason, finished, timings, layout } = kept;
    return { maxRows, reason, finished, timings, ...(layout === undefined ? {} : { layout }) };
  }

  /** @param nowMs milliseconds since 1970 */
  add(cid: VersionCid, device: string, finding: BatchFinding, nowMs: number): void {
    const { maxRows, finished, timings, layout } = finding;
    const reason = finding.reason.slice(0, 512);
    const kept = { cid, device, foundAtMs: nowMs, maxRows, reason, finished };
    this.#findings.set(keyOf(cid, device), { ...kept, timings: [...timings], layout });
    this.#changed();
  }

  /** Forgets a version that has left the disk. */
  forget(cid: VersionCid): void {
    const keys = [...this.#findings].flatMap(([key, kept]) => (kept.cid === cid ? [key] : []));
    for (const key of keys) this.#findings.delete(key);
    if (keys.length > 0) this.#changed();
  }

  /** Settles when all that was added or forgotten is on the disk. Never rejects. */
  get written(): Promise<void> {
    return this.#writing;
  }

  #changed(): void {
    if (this.#init.file === undefined || this.#stale) return;
    this.#stale = true;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const { file, runtime = '', logger } = this.#init;
    this.#stale = false;
    if (file === undefined) return;
    const text = JSON.stringify({ runtime, findings: [...this.#findings.values()] });
    try {
      await writeDurably(file, Buffer.from(`${text}\n`));
    } catch (error) {
      // A probe too many after the next start is all it costs.
      logger?.warn({ err: error, file }, 'batch sizes could not be kept');
    }
  }
}

async function readFindings(file: string, runtime = ''): Promise<readonly KeptFinding[]> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > MAX_FILE_BYTES) return [];
      const parsed = fileSchema.safeParse(JSON.parse(await handle.readFile('utf8')));
      return parsed.success && parsed.data.runtime === runtime ? parsed.data.findings : [];
    } finally {
      await handle.close();
    }
  } catch {
    // Not there yet, or not ours any more: probing again is always right.
    return [];
  }
}

function keyOf(cid: string, device: string): string {
  return `${cid} ${device}`;
}
