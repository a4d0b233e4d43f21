import type { CallProgress } from '../client/call-progress.ts';
import { formatTimeLeft } from './figures.ts';
import { shortId } from './printable.ts';
import type { Terminal } from './terminal.ts';

/** Tells whoever waits for a call what it waits for. A call that is answered at once has nothing to tell. */
export function callNotes(terminal: Pick<Terminal, 'note'>): (progress: CallProgress) => void {
  let told = '';
  return (progress) => {
    const note = noteOf(progress);
    // Asking again changes nothing: the same line once is enough.
    if (note === undefined || note === told) return;
    told = note;
    terminal.note(note);
  };
}

function noteOf(progress: CallProgress): string | undefined {
  switch (progress.kind) {
    case 'sent': {
      if (!progress.cold) return undefined;
      const took = progress.etaMs === null ? '' : `, about ${formatTimeLeft(progress.etaMs)}`;
      return `node ${shortId(progress.node)} loads the model first${took}`;
    }
    case 'failed':
      return `node ${shortId(progress.node)} did not answer (${progress.code})`;
    case 'waiting':
      return 'no node takes the request now: asking again until the deadline';
    default:
      return undefined;
  }
}
