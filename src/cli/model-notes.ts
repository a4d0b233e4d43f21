import { printable } from './printable.ts';
import type { Terminal } from './terminal.ts';

/** Characters of a note that are shown; what it quotes of a stranger's configuration is bounded, paths add up. */
const MAX_NOTE_CHARACTERS = 1024;

/** Tells what an import or an export could not take over, or what should be known of a model. */
export function tellNotes(terminal: Terminal, notes: readonly string[]): void {
  for (const note of notes) {
    terminal.event({ event: 'note', text: note });
    if (terminal.json) continue;
    terminal.note(`${terminal.style('dim', 'note')}  ${printable(note, MAX_NOTE_CHARACTERS)}`);
  }
}
