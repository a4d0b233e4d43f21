import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runNodesEvidence } from '../../../../../src/cli/commands/evidence.ts';
import { EvidenceFolder } from '../../../../../src/client/evidence-folder.ts';
import { makeEvidence } from '../../../../support/evidence.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { createTestContext, events } from '../command-host.ts';

describe('swarm nodes evidence', () => {
  it('says where it looked when nothing is held against anybody', async () => {
    await using folder = await createTestFolder();
    const env = { XDG_DATA_HOME: folder.path };
    const { context, written } = await createTestContext({}, { env });
    expect(await runNodesEvidence(context)).toBe(0);
    const where = path.join(folder.path, 'gpu-swarm', 'client', 'evidence');
    expect(written).toEqual({
      stdout: '',
      stderr: `nothing is held against any node in ${where}\n`,
    });
  });

  it('lists who is asked again when, and what of it is not signed as it says', async () => {
    await using folder = await createTestFolder();
    const kept = new EvidenceFolder(folder.path);
    await kept.keep(makeEvidence('lie', 'liar'));
    await kept.keep(makeEvidence('near tie', 'doubtful', 1));
    const json = await createTestContext({ data: folder.path }, { json: true });
    expect(await runNodesEvidence(json.context)).toBe(0);
    expect(events(json.written.stdout)).toMatchObject([
      {
        event: 'evidence',
        charge: 'lie',
        accused: { node: 'liar', owner: 'liar', provider: null },
        witnesses: [{ node: 'w1' }, { node: 'w2' }],
        avoidedUntil: 'ever',
        signed: false,
        fault: expect.stringContaining('gpu-swarm:receipt:1 record is not dag-cbor'),
        file: expect.stringContaining(path.join(folder.path, 'evidence')),
      },
      { charge: 'near tie', avoidedUntil: '2025-11-24T17:00:00.001Z' },
    ]);
    const people = await createTestContext({ data: folder.path });
    await runNodesEvidence(people.context);
    expect(people.written.stdout).toMatch(/liar +liar +lie +2025-11-24 16:00 UTC +never/);
    expect(people.written.stdout).toMatch(/doubtful +doubtful +near tie .* now /);
    expect(people.written.stderr).toContain('output is other');
  });
});
