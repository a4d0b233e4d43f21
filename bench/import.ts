import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { type BenchHost, benchCommand, positiveInteger } from './command.ts';
import { type Column, describeCommit, describeMachine, printReport, rounded } from './report.ts';

const ROOT = path.dirname(import.meta.dirname);

/** What a process imports. */
interface Subject {
  readonly name: string;
  readonly specifiers: readonly string[];
  /** Conditions of package exports, beside Node's own. */
  readonly conditions?: readonly string[];
}

const NODE: Subject = { name: 'node', specifiers: [] };

const LIBP2P: Subject = {
  name: 'libp2p with tcp, tls, yamux',
  specifiers: ['libp2p', '@libp2p/tcp', '@libp2p/tls', '@chainsafe/libp2p-yamux'],
};

/** In the order of what they contain. The built client is what an installed package holds; it is there after `npm run build`. */
const SUBJECTS: readonly Subject[] = [
  NODE,
  LIBP2P,
  { name: 'stack of a peer', specifiers: ['./src/swarm/libp2p.ts'] },
  { name: 'client, from source', specifiers: ['gpu-swarm'], conditions: ['swarm-source'] },
  ...(existsSync(path.join(ROOT, 'dist/src/index.js'))
    ? [{ name: 'client, built', specifiers: ['gpu-swarm'] }]
    : []),
];

/** Plain JavaScript, so that the bare process does not load what strips types. */
const PROBE = `
  const before = performance.now();
  for (const specifier of process.argv.slice(1)) await import(specifier);
  const importMs = performance.now() - before;
  process.stdout.write(JSON.stringify({ importMs, residentBytes: process.memoryUsage.rss() }));
  process.exit();
`;

/** Milliseconds for one process, on a busy machine. */
const TIMEOUT_MS = 60_000;

interface ImportRow {
  readonly subject: string;
  /** Milliseconds of the imports alone, in a fresh process. */
  readonly importMs: number;
  /** Milliseconds from the start of the process to its end. */
  readonly processMs: number;
  readonly residentMib: number;
  readonly processPerNode: number;
  readonly importPerLibp2p: number;
  readonly residentPerNode: number;
  readonly residentPerLibp2p: number;
}

type Sample = Pick<ImportRow, 'importMs' | 'processMs' | 'residentMib'>;

/** `npm run bench -- import`: what an application pays for the client before its first call. */
export function importCommand(host: BenchHost): Command {
  return benchCommand(
    'import',
    'cold import time and memory of the client, beside libp2p and bare Node',
  )
    .option('--rounds <n>', 'processes of each, interleaved; the best counts', positiveInteger, 7)
    .action(async ({ rounds, json }: { rounds: number; json: boolean }) => {
      const machine = describeMachine();
      const rows = await runImports(rounds, host);
      printReport(
        { bench: 'import', machine, commit: await describeCommit(), rows, targets: [] },
        COLUMNS,
        json,
      );
    });
}

async function runImports(rounds: number, { progress, signal }: BenchHost): Promise<ImportRow[]> {
  const best = new Map<Subject, Sample>();
  for (let round = 0; round <= rounds; round += 1) {
    // The first round brings the files into the system's cache; it does not count.
    progress(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
    for (const subject of SUBJECTS) {
      const sample = await importOnce(subject, signal);
      if (round > 0) best.set(subject, bestOf(best.get(subject), sample));
    }
  }
  return [...best].map(([subject, sample]) => toRow(subject, sample, best));
}

async function importOnce(subject: Subject, signal: AbortSignal): Promise<Sample> {
  const conditions = (subject.conditions ?? []).map((condition) => `--conditions=${condition}`);
  const before = performance.now();
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...conditions, '--input-type=module', '--eval', PROBE, ...subject.specifiers],
    { cwd: ROOT, timeout: TIMEOUT_MS, signal },
  );
  const processMs = performance.now() - before;
  const { importMs, residentBytes } = JSON.parse(stdout) as Record<string, number>;
  if (importMs === undefined || residentBytes === undefined) {
    throw new Error(`expected figures from a process, found ${JSON.stringify(stdout)}`);
  }
  return { importMs, processMs, residentMib: residentBytes / 1024 ** 2 };
}

function bestOf(a: Sample | undefined, b: Sample): Sample {
  if (a === undefined) return b;
  return {
    importMs: Math.min(a.importMs, b.importMs),
    processMs: Math.min(a.processMs, b.processMs),
    residentMib: Math.min(a.residentMib, b.residentMib),
  };
}

function toRow(
  { name }: Subject,
  { importMs, processMs, residentMib }: Sample,
  best: ReadonlyMap<Subject, Sample>,
): ImportRow {
  const node = best.get(NODE);
  const libp2p = best.get(LIBP2P);
  return {
    subject: name,
    importMs: rounded(importMs),
    processMs: rounded(processMs),
    residentMib: rounded(residentMib),
    processPerNode: rounded(processMs / (node?.processMs ?? Number.NaN)),
    importPerLibp2p: rounded(importMs / (libp2p?.importMs ?? Number.NaN)),
    residentPerNode: rounded(residentMib / (node?.residentMib ?? Number.NaN)),
    residentPerLibp2p: rounded(residentMib / (libp2p?.residentMib ?? Number.NaN)),
  };
}

const COLUMNS: readonly Column<ImportRow>[] = [
  { title: 'imported', value: ({ subject }) => subject },
  { title: 'import ms', value: ({ importMs }) => String(importMs) },
  { title: 'process ms', value: ({ processMs }) => String(processMs) },
  { title: 'resident MiB', value: ({ residentMib }) => String(residentMib) },
  { title: 'process / node', value: ({ processPerNode }) => String(processPerNode) },
  { title: 'import / libp2p', value: ({ importPerLibp2p }) => String(importPerLibp2p) },
  { title: 'resident / node', value: ({ residentPerNode }) => String(residentPerNode) },
  { title: 'resident / libp2p', value: ({ residentPerLibp2p }) => String(residentPerLibp2p) },
];
