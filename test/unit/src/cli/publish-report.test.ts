import { describe, expect, it } from 'vitest';
import type { NodeId, PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { PublishReport } from '../../../../src/cli/publish-report.ts';
import type { PublishResult } from '../../../../src/client/publisher.ts';
import { createHost, events } from './command-host.ts';

const node = '12D3KooWGUNKy1gZGogRpZ4aGk51htsrmC2HmxoNueEhU8B3nAbD' as NodeId;

const result: PublishResult = {
  publisher: node as string as PublisherId,
  name: 'digits',
  channel: 'stable',
  cid: 'bafynew' as VersionCid,
  sequence: 2,
  replicas: [node],
  guard: null,
  previous: null,
  record: new Uint8Array(),
};

describe('PublishReport', () => {
  it('tells people each change once, and a fetch at each tenth', () => {
    const { host, written } = createHost();
    const report = new PublishReport(host.createTerminal(false));
    for (let bytes = 0; bytes <= 1000; bytes += 10) {
      report.progress({ node, state: 'fetching', bytes, totalBytes: 1000 });
    }
    report.progress({ node, state: 'loading' });
    report.progress({ node, state: 'loading' });
    report.progress({ node, state: 'ready' });
    const lines = written.stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(11 + 2);
    expect(lines[1]).toBe('12D3KooW…B3nAbD  fetches the model: 100 B of 1000 B');
    expect(lines.slice(-2)).toEqual(['12D3KooW…B3nAbD  loads it', '12D3KooW…B3nAbD  is READY']);
    expect(written.stdout).toBe('');
  });

  it('draws a bar on a terminal while a node fetches, and tells the rest in lines', () => {
    const { host, written } = createHost({ columns: 90 });
    const report = new PublishReport(host.createTerminal(false));
    report.progress({ node, state: 'fetching', bytes: 0, totalBytes: null });
    report.progress({ node, state: 'fetching', bytes: 500, totalBytes: 1000 });
    expect(written.stderr).toMatch(
      /fetches the model\n12D3KooW…B3nAbD {2}█+░+ {2}50 % {2}500 B of 1000 B/,
    );
    report.progress({ node, state: 'loading' });
    const up = '\u001B[1A\u001B[0J';
    expect(written.stderr.endsWith(`${up}12D3KooW…B3nAbD  loads it\n`)).toBe(true);
  });

  it('shows what a node said when it refused, and lets it command no terminal', () => {
    const { host, written } = createHost();
    new PublishReport(host.createTerminal(false)).progress({
      node,
      state: 'refused',
      code: 'ERR_FORBIDDEN',
      message: 'no\u001B[2J\nway',
    });
    expect(written.stderr).toBe('12D3KooW…B3nAbD  refused: no\uFFFD[2J way (ERR_FORBIDDEN)\n');
  });

  it('tells programs every step, with the whole id', () => {
    const { host, written } = createHost();
    const report = new PublishReport(host.createTerminal(true));
    report.progress({ node, state: 'fetching', bytes: 1, totalBytes: null });
    report.progress({ node, state: 'fetching', bytes: 2, totalBytes: null });
    expect(events(written.stdout)).toEqual([
      { event: 'progress', node, state: 'fetching', bytes: 1, totalBytes: null },
      { event: 'progress', node, state: 'fetching', bytes: 2, totalBytes: null },
    ]);
    expect(written.stderr).toBe('');
  });

  it('tells programs the guard with its defaults filled in, and null where there is none', () => {
    const { host, written } = createHost();
    const report = new PublishReport(host.createTerminal(true));
    report.published(result);
    const previous = 'bafyold' as VersionCid;
    report.published({ ...result, guard: { minSamples: 5 }, previous });
    expect(events(written.stdout)).toMatchObject([
      { event: 'published', guard: null, previous: null },
      { event: 'published', guard: { minSamples: 5, minReporters: 3 }, previous },
    ]);
  });

  it('says what a guard falls back to, and when there is nothing', () => {
    const { host, written } = createHost();
    const report = new PublishReport(host.createTerminal(false));
    report.published({ ...result, guard: {}, previous: 'bafyold' as VersionCid });
    report.published({ ...result, guard: {} });
    expect(written.stdout).toContain('guard      at most 5.0 % errors');
    expect(written.stderr.trimEnd().split('\n')).toEqual([
      'When the guard trips, clients fall back to bafyold.',
      "The guard has nothing to fall back to: 'stable' pointed at no other version before.",
    ]);
  });
});
