import path from 'node:path';
import { type LintFault, lintPackage } from '../../model/package-lint.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { tellNotes } from '../model-notes.ts';
import { printable } from '../printable.ts';

/** Characters of a fault that are printed; what it quotes of the package is bounded, lists of names add up. */
const MAX_FAULT_CHARACTERS = 1024;

/** `swarm models lint`: every fault for which packing would refuse. */
export async function runModelsLint(
  { terminal, cwd, signal }: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const location = String(options['path']);
  const found = await lintPackage(path.resolve(cwd, location), { signal });
  const { faults, moreFaults, notes, golden } = found;
  for (const { file, field, message } of faults) {
    terminal.event({ event: 'fault', file, field, message });
    terminal.print(
      `${terminal.style('bad', 'fault')}  ${printable(message, MAX_FAULT_CHARACTERS)}`,
    );
  }
  tellNotes(terminal, notes);
  const count = faults.length + moreFaults;
  terminal.event({ event: 'linted', path: location, faults: count, golden });
  if (!terminal.json) terminal.note(verdict(faults, count, golden));
  return count === 0 ? EXIT.ok : EXIT.refused;
}

function verdict(faults: readonly LintFault[], count: number, golden: string | null): string {
  if (count === 0) {
    return golden === null
      ? 'no fault; no golden vectors yet, publishing makes them'
      : `no fault; golden vectors in '${printable(golden)}'`;
  }
  const shown = count === faults.length ? '' : `, the first ${faults.length} are shown`;
  return `${count} fault${count === 1 ? '' : 's'}${shown}`;
}
