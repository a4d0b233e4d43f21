import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../../protocols/manifest/index.ts';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import type { Publication } from '../../../../../src/cli/up/demo-publication.ts';
import { FailoverTally } from '../../../../../src/cli/up/failover-tally.ts';
import { LocalSwarm } from '../../../../../src/cli/up/local-swarm.ts';
import { UpReport } from '../../../../../src/cli/up/up-report.ts';
import { createHost, events } from '../command-host.ts';

const [a, b] = ['node-a', 'node-b'] as unknown as readonly [NodeId, NodeId];

const publication: Publication = {
  model: { name: 'digits', folder: '/models/digits', inputs: [], heldoutFile: undefined },
  reference: 'publisher/digits',
  cid: 'bafy' as VersionCid,
  manifest: { metadata: { task: 'image-classification' } } as Manifest,
  replicas: [a, b],
};

async function createReport(json: boolean) {
  const { host, written } = createHost();
  const swarm = await LocalSwarm.create({
    nodes: 2,
    network: 'test',
    data: undefined,
    allowPublishers: [],
    threads: 1,
    env: {},
    onReady: () => undefined,
    onLost: () => undefined,
  });
  const report = new UpReport(host.createTerminal(json), swarm);
  return { report, written, [Symbol.asyncDispose]: () => swarm.stop() };
}

const answer = {
  input: { name: 'digit 3', file: '/3.png', expected: '3' },
  text: '8',
  confidence: 0.5,
  ranked: undefined,
  node: a,
  latencyMs: 12.34,
};

function failover() {
  const tally = new FailoverTally();
  const one = { model: 'digits', failedAttempts: 0, latencyMs: 1, asBefore: true };
  tally.answered({ ...one, node: a });
  tally.kill(a);
  tally.answered({ ...one, node: b, failedAttempts: 1, latencyMs: 48.21 });
  return { killed: a, tally };
}

describe('UpReport', () => {
  it('gives programs the events that docs/cli.md names, done last', async () => {
    await using scope = await createReport(true);
    const { report, written } = scope;
    report.published([publication]);
    report.answered(publication, answer);
    report.results(publication, [answer]);
    report.accuracy(publication, { right: 3, rows: 4 });
    report.killed(a);
    report.failover(failover());
    report.done({ ok: true, requests: 7, failed: 0 });
    expect(events(written.stdout)).toEqual([
      {
        event: 'published',
        model: 'digits',
        reference: 'publisher/digits',
        version: 'bafy',
        replicas: [a, b],
      },
      {
        event: 'result',
        model: 'digits',
        input: 'digit 3',
        answer: '8',
        confidence: 0.5,
        expected: '3',
        node: a,
        nodeName: a,
        latencyMs: 12.3,
      },
      { event: 'accuracy', model: 'digits', right: 3, rows: 4, accuracy: 0.75 },
      { event: 'killed', node: a, nodeName: a },
      { event: 'takeover', model: 'digits', from: a, by: [b] },
      {
        event: 'failover',
        killed: a,
        requests: 2,
        failed: 0,
        retried: 1,
        changed: 0,
        slowestMs: 48.2,
      },
      { event: 'done', ok: true, requests: 7, failed: 0 },
    ]);
    expect(written.stderr).toBe('');
  });

  it('shows people the answer, the truth where it is wrong, and who took over', async () => {
    await using scope = await createReport(false);
    const { report, written } = scope;
    report.results(publication, [answer, { ...answer, text: '3', confidence: null }]);
    report.failover(failover());
    const lines = written.stdout.split('\n');
    expect(lines).toContain('digits: image classification');
    expect(lines).toContain('  digit 3  8 (it is 3)      50.0 %  node-a    12 ms');
    expect(lines).toContain('  digit 3  3                     -  node-a    12 ms');
    expect(lines).toContain('  digits: node-a died, node-b took over');
    expect(written.stdout).toContain('2 requests, none failed; 1 went on to another node');
  });

  it('says that a request failed and that nobody took over', async () => {
    await using scope = await createReport(false);
    const { report, written } = scope;
    const tally = new FailoverTally();
    tally.answered({ model: 'digits', node: a, failedAttempts: 0, latencyMs: 1, asBefore: true });
    tally.kill(a);
    tally.failedWith('ERR_NO_NODE: no node');
    report.failover({ killed: a, tally });
    report.done({ ok: false, requests: 2, failed: 1 });
    expect(written.stdout).toContain('digits: node-a died, nobody took over');
    expect(written.stdout).toContain('2 requests, 1 failed;');
    expect(written.stderr).toContain('1 × ERR_NO_NODE: no node');
    expect(written.stdout).toContain('not well: 2 requests, 1 failed; every process has ended');
  });
});
