import path from 'node:path';
import { DeadlineError } from '../../../protocols/errors.ts';
import { importPackage } from '../../model/import/package-import.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { readImportChoices } from '../import-choices.ts';
import { importLocation } from '../import-location.ts';
import { tellNotes } from '../model-notes.ts';
import { printable } from '../printable.ts';
import { printPairs } from '../table.ts';

/** `swarm models import`: a package folder of a model in any form that is known. */
export async function runModelsImport(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal, cwd, settings } = context;
  const what = String(options['what']);
  const folder = path.resolve(cwd, String(options['out']));
  const choices = readImportChoices(options);
  const timeout = AbortSignal.timeout(settings.timeoutMs);
  try {
    const { origin, files, notes } = await importPackage(importLocation(cwd, what), folder, {
      ...choices,
      signal: AbortSignal.any([context.signal, timeout]),
    });
    tellNotes(terminal, notes);
    terminal.event({ event: 'imported', origin, folder, files, notes: notes.length });
    printPairs(terminal, [
      ['imported', origin],
      ['folder', folder],
      ['files', files.map((name) => printable(name)).join(', ')],
    ]);
    return EXIT.ok;
  } catch (cause) {
    if (!timeout.aborted || context.signal.aborted) throw cause;
    const what = `import was not done within ${settings.timeoutMs} ms (--timeout)`;
    throw new DeadlineError(what, 'total', { cause });
  }
}
