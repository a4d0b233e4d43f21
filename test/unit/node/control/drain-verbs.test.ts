import { describe, expect, it } from 'vitest';
import { drainVerbs } from '../../../../node/control/drain-verbs.ts';
import type { HandoverProgress } from '../../../../node/handover.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { present } from '../../../support/present.ts';

const owed: HandoverProgress['owed'] = [{ cid: 'a' as VersionCid, wanted: 1, ready: 0, takers: 1 }];

/** The drain of a node whose hand-over ends when a test says so. */
function prepare() {
  const handing = Promise.withResolvers<void>();
  let drained = 0;
  const verbs = drainVerbs({
    handover: {
      run: () => handing.promise,
      async *watch() {
        yield { owed };
        await handing.promise;
        yield { owed: [] };
      },
    },
    drained: () => (drained += 1),
  });
  const steps = present(verbs['node.drain'])(undefined, new AbortController().signal);
  return { steps: steps[Symbol.asyncIterator](), end: handing.resolve, drained: () => drained };
}

describe('drainVerbs', () => {
  it('tells how far the hand-over is, and lets the node go at its end', async () => {
    const { steps, end, drained } = prepare();
    expect(await steps.next()).toMatchObject({ value: { owed: ['a'] } });
    end();
    expect(await steps.next()).toMatchObject({ value: { owed: [] } });
    expect(drained()).toBe(0);
    expect(await steps.next()).toMatchObject({ done: true });
    await expect.poll(drained).toBe(1);
  });

  it('lets the node go at the end of the hand-over when whoever asked for it has left', async () => {
    const { steps, end, drained } = prepare();
    await steps.next();
    await steps.return?.();
    expect(drained()).toBe(0);
    end();
    await expect.poll(drained).toBe(1);
  });
});
