import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId, VersionCid } from '../../../../protocols/types.ts';
import { callNotes } from '../../../../src/cli/call-notes.ts';
import type { CallEvent } from '../../../../src/client/call-progress.ts';

const node = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' as NodeId;
const owner = 'owner' as OwnerId;
const sent: CallEvent = { kind: 'sent', node, owner, attempt: 1, cold: false, etaMs: null };
const waiting: CallEvent = { kind: 'waiting', waitMs: 50, code: 'ERR_BUSY', etaMs: null };

function notesOf(...events: CallEvent[]): string[] {
  const notes: string[] = [];
  const listener = callNotes({ note: (line) => notes.push(line) });
  for (const event of events) listener({ ...event, elapsedMs: 0 });
  return notes;
}

describe('callNotes', () => {
  it('has nothing to tell of a call that is answered at once', () => {
    const version = 'bafy' as VersionCid;
    const resolved: CallEvent = { kind: 'resolved', version, channel: 'stable' };
    expect(notesOf({ kind: 'resolving' }, resolved, sent)).toEqual([]);
  });

  it('says that a node loads the model, and for how long where it knows', () => {
    const cold: CallEvent = { ...sent, cold: true };
    expect(notesOf(cold)[0]).toMatch(/^node \S+ loads the model first$/);
    expect(notesOf({ ...cold, etaMs: 11_500 })[0]).toMatch(/loads the model first, about 12 s$/);
  });

  it('says which node did not answer, and once that none takes the request', () => {
    const failed: CallEvent = { kind: 'failed', node, code: 'ERR_BUSY', message: 'queue is full' };
    expect(notesOf(sent, failed, waiting, waiting, waiting)).toEqual([
      expect.stringMatching(/^node \S+ did not answer \(ERR_BUSY\)$/),
      'no node takes the request now: asking again until the deadline',
    ]);
  });
});
