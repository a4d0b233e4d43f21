import { mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { formatBytes } from '../../../protocols/byte-size.ts';
import { ConfigError, DeadlineError, StoreError } from '../../../protocols/errors.ts';
import { parseVersionCid } from '../../../protocols/reference.ts';
import type { VersionCid } from '../../../protocols/types.ts';
import { downloadVersion } from '../../client/version-download.ts';
import {
  EXPORT_FORMATS,
  type ExportedPackage,
  type ExportFormat,
  exportPackage,
} from '../../model/export/package-export.ts';
import { PackageStaging } from '../../model/package-staging.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { tellNotes } from '../model-notes.ts';
import { printable } from '../printable.ts';
import { resolveModelRef } from '../publisher-names.ts';
import { joinSwarm } from '../swarm-join.ts';
import { printPairs } from '../table.ts';

/** A fetch is told of at each of these shares of its bytes. */
const FETCH_STEPS = 10;

/** `swarm models export`: the files of a version, from the swarm or from a folder, in a form that others take. */
export async function runModelsExport(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal, cwd, settings } = context;
  const format = readFormat(options['format']);
  const folder = path.resolve(cwd, String(options['out']));
  const what = String(options['version']);
  const timeout = AbortSignal.timeout(settings.timeoutMs);
  const signal = AbortSignal.any([context.signal, timeout]);
  try {
    const location = path.resolve(cwd, what);
    const local = await stat(location).catch(() => undefined);
    const { cid, exported } =
      local === undefined
        ? await exportFromSwarm(context, what, { folder, format, signal })
        : { cid: null, exported: await exportPackage(location, folder, { format, signal }) };
    const { files, notes } = exported;
    tellNotes(terminal, notes);
    terminal.event({ event: 'exported', version: cid, format, folder, files, notes: notes.length });
    printPairs(terminal, [
      ...(cid === null ? [] : [['version', cid] as const]),
      ['format', format],
      ['folder', folder],
      ['files', files.map((name) => printable(name)).join(', ')],
    ]);
    return EXIT.ok;
  } catch (cause) {
    if (!timeout.aborted || context.signal.aborted) throw cause;
    const what = `export was not done within ${settings.timeoutMs} ms (--timeout)`;
    throw new DeadlineError(what, 'total', { cause });
  }
}

interface SwarmExportOptions {
  readonly folder: string;
  readonly format: ExportFormat;
  readonly signal: AbortSignal;
}

/** Fetches into a folder beside the wanted one, so that the files need not be copied, and removes it. */
async function exportFromSwarm(
  context: CommandContext,
  what: string,
  { folder, format, signal }: SwarmExportOptions,
): Promise<{ readonly cid: VersionCid; readonly exported: ExportedPackage }> {
  const ref = parseVersionCid(what) ?? (await resolveModelRef(context, what));
  await using swarm = await joinSwarm(context);
  const cid = typeof ref === 'string' ? ref : (await swarm.client.resolve(ref, { signal })).cid;
  // That something is in the folder is told before anything is fetched.
  const wanted = await PackageStaging.create(folder);
  const parent = path.dirname(folder);
  const temporary = await mkdtemp(path.join(parent, '.swarm-export-')).catch((cause: unknown) => {
    throw new StoreError(`no folder can be made in '${parent}'`, { cause });
  });
  try {
    const fetched = path.join(temporary, 'files');
    await downloadVersion(swarm.peer, cid, fetched, { signal, onProgress: teller(context) });
    return { cid, exported: await exportPackage(fetched, folder, { format, link: true, signal }) };
  } catch (error) {
    await wanted.discard();
    throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function teller({ terminal }: CommandContext): (bytes: number, totalBytes: number | null) => void {
  let told = -1;
  return (bytes, totalBytes) => {
    if (totalBytes === null) return;
    const step = totalBytes === 0 ? FETCH_STEPS : Math.floor((bytes / totalBytes) * FETCH_STEPS);
    if (step === told) return;
    told = step;
    terminal.event({ event: 'progress', bytes, totalBytes });
    if (!terminal.json) {
      terminal.note(`fetched ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`);
    }
  };
}

function readFormat(value: string | boolean | undefined): ExportFormat {
  const format = EXPORT_FORMATS.find((known) => known === (value ?? 'dir'));
  if (format !== undefined) return format;
  throw new ConfigError(`--format is '${String(value)}', expected ${EXPORT_FORMATS.join(' or ')}`);
}
