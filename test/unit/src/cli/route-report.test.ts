import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId, VersionCid } from '../../../../protocols/types.ts';
import { printRoute } from '../../../../src/cli/route-report.ts';
import type { ExplainedNode, RouteExplanation } from '../../../../src/client/route-explanation.ts';
import { createHost, events } from './command-host.ts';

function explained(node: string, over: Partial<ExplainedNode>): ExplainedNode {
  return {
    node: node as NodeId,
    owner: `owner of ${node}` as OwnerId,
    zone: 'attic',
    state: 'ready',
    verdict: 'slower',
    totalMs: 31.26,
    pathMs: 1.26,
    queueMs: 20,
    serviceMs: 10,
    penaltyMs: 0,
    waiting: 2,
    loadAgeMs: 3.14159,
    coolingMs: 0,
    ...over,
  };
}

function routeOf(...candidates: readonly ExplainedNode[]): RouteExplanation {
  return { version: 'bafy' as VersionCid, channel: 'stable', candidates };
}

describe('printRoute', () => {
  it('shows people each node, what is expected of it and why it is not asked', () => {
    const { host, written } = createHost();
    const code = printRoute(
      host.createTerminal(false),
      routeOf(
        explained('a', { verdict: 'chosen', totalMs: 11, queueMs: 0, waiting: 0 }),
        explained('b', {}),
        explained('c', { verdict: 'cooling', coolingMs: 12_000 }),
        explained('d', { penaltyMs: 500 }),
      ),
    );
    expect(code).toBe(0);
    const lines = written.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/NODE +OWNER +ZONE +EXPECTED +PATH +QUEUE +SERVICE +AHEAD +VERDICT/);
    expect(lines[1]).toMatch(/ attic +11 ms +1\.3 ms +0\.0 ms +10 ms +0 +chosen$/);
    expect(lines[2]).toMatch(/ 31 ms +1\.3 ms +20 ms +10 ms +2 +slower$/);
    expect(lines[3]).toMatch(/cooling for 12\.0 s$/);
    expect(lines[4]).toMatch(/slower, failed lately$/);
  });

  it('gives programs all of it in one event', () => {
    const { host, written } = createHost();
    printRoute(host.createTerminal(true), routeOf(explained('a', { verdict: 'chosen' })));
    expect(events(written.stdout)).toMatchObject([
      {
        event: 'route',
        version: 'bafy',
        channel: 'stable',
        candidates: [{ node: 'a', verdict: 'chosen', totalMs: 31.3, loadAgeMs: 3.1, waiting: 2 }],
      },
    ]);
  });

  it('ends as a call does that finds nobody', () => {
    const { host, written } = createHost();
    expect(printRoute(host.createTerminal(false), routeOf())).toBe(4);
    expect(written.stderr).toContain('no node serves version bafy');
  });
});
