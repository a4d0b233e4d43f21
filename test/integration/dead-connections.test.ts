import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { InferenceHandler } from '../../protocols/inference/index.ts';
import { echoHandler, inferAt } from '../support/stand-in-calls.ts';
import { IDLE } from '../support/announced-peer.ts';
import { StandInNodes } from '../support/stand-in-nodes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** What happens to a connection while an answer is waited for. */
const DEATHS = [
  ['is reset', (proxy: TcpProxy) => proxy.reset()],
  ['falls silent without a FIN or RST', (proxy: TcpProxy) => proxy.freeze()],
  ['leads to a host that is gone', (proxy: TcpProxy) => proxy.swallow()],
] as const;

const FAST = { ...IDLE, serviceMs: 0.1 };

/** Answers the first requests at once; then holds the next one for longer than anybody waits, and says so. */
function holding(after: number): InferenceHandler & { readonly held: Promise<void> } {
  const { promise: held, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  return {
    held,
    admit: () => ({
      execute: async (inputs, { signal }) => {
        asked += 1;
        if (asked === after + 1) {
          resolve();
          await delay(60_000, undefined, { signal });
        }
        return { outputs: inputs, queueMs: 0, executeMs: 1, load: IDLE, releaseSequence: 0 };
      },
    }),
    load: () => IDLE,
  };
}

describe.skipIf(process.platform !== 'linux').concurrent.each(DEATHS)(
  'A connection that %s (needs Linux)',
  (_, kill) => {
    it('costs its caller nothing while another node answers, however often it asks', async () => {
      await using nodes = await StandInNodes.create();
      const handler = holding(1);
      await using proxy = await TcpProxy.listen();
      const node = await nodes.add(handler, FAST, 'ready', { proxy });
      expect((await inferAt(nodes)).node).toBe(node.id);
      const good = await nodes.add(echoHandler(), { ...IDLE, serviceMs: 500 });
      const asking = inferAt(nodes, { prefer: { nodes: [node.id] } });
      await handler.held;
      kill(proxy);
      const result = await asking;
      expect(result.node).toBe(good.id);
      expect(result.outputs['x']?.toArray()).toEqual([1, 2]);
      for (let calls = 0; calls < 5; calls += 1) expect((await inferAt(nodes)).node).toBe(good.id);
    });

    it('gives one typed error by the deadline when there is no other node, and is dialled anew once the network is well', async () => {
      await using nodes = await StandInNodes.create();
      const handler = holding(1);
      await using proxy = await TcpProxy.listen();
      const node = await nodes.add(handler, FAST, 'ready', { proxy });
      await inferAt(nodes);
      const asking = inferAt(nodes, { deadlineMs: 4_500 }).catch((error: unknown) => error);
      await handler.held;
      const { dialled } = proxy;
      kill(proxy);
      const ended = await asking;
      // A reset is heard of at once: the call dials again within its deadline, and is answered.
      if (ended instanceof Error) {
        expect(ended).toMatchObject({ code: expect.stringMatching(/^ERR_(CONNECTION|DEADLINE)$/) });
      } else expect(ended).toMatchObject({ node: node.id });
      proxy.heal();
      // A dial that began before may have to end first.
      expect((await inferAt(nodes)).node).toBe(node.id);
      expect(proxy.dialled).toBeGreaterThan(dialled);
    });
  },
);
