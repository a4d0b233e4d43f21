import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FRAME } from '../../protocols/inference/frame-type.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import { hostileNode, outputOf, responseHeader } from '../support/hostile-node.ts';
import type { RawPeer } from '../support/raw-peer.ts';
import { echoHandler, inferAt } from '../support/stand-in-calls.ts';
import { IDLE } from '../support/announced-peer.ts';
import { StandInNodes } from '../support/stand-in-nodes.ts';

const RIGHT = outputOf([1, 2], 8);
const BODY = new Uint8Array(8);

/**
 * Sends pieces of a body for as long as the stream lives, as fast as they are taken: more would pile up in this process, which is
 * the caller's too, and on a busy machine keep it from all else for seconds.
 */
async function sendForEver(peer: RawPeer, id: number): Promise<void> {
  const piece = new Uint8Array(64 * 1024);
  try {
    while (peer.stream.status === 'open') {
      if (peer.frame(FRAME.data, id, piece)) await delay(1);
      else await peer.stream.onDrain();
    }
  } catch (error) {
    // The caller has reset the stream, as it should.
    if (peer.stream.status === 'open') throw error;
  }
}

/** Milliseconds: less than a test has, and so long that only what is never answered takes them, also where others keep all cores busy. */
const DEADLINE_MS = 40_000;

/** What a node may do that says it has the version, answers pings, and means no good. */
const ANSWERS: readonly (readonly [string, (peer: RawPeer, id: number) => void])[] = [
  ['a frame of no known type', (peer, id) => peer.frame(99, id, BODY)],
  ['a frame that only a caller sends', (peer, id) => peer.frame(FRAME.request, id, BODY)],
  ['a frame that is longer than any may be', (peer) => peer.send(new Uint8Array(16).fill(0xff))],
  ['a header of nonsense', (peer, id) => peer.frame(FRAME.response, id, Uint8Array.of(1, 2, 3))],
  ['a failure of nonsense', (peer, id) => peer.frame(FRAME.failure, id)],
  ['a credit of nonsense', (peer, id) => peer.frame(FRAME.credit, id, new Uint8Array(12))],
  [
    'a shape that its bytes do not fill',
    (peer, id) => peer.frame(FRAME.response, id, responseHeader([outputOf([3], 8)]), BODY),
  ],
  [
    'a shape beyond all numbers',
    (peer, id) => {
      const huge = outputOf([2 ** 31, 2 ** 31, 2 ** 31], 8);
      peer.frame(FRAME.response, id, responseHeader([huge]), BODY);
    },
  ],
  [
    'text that is not as long as it says',
    (peer, id) => {
      const text = { name: 'x', datatype: 'BYTES' as const, shape: [1], byteLength: 8 };
      peer.frame(FRAME.response, id, responseHeader([text]), new Uint8Array(8).fill(0xff));
    },
  ],
  ['a body without a header', (peer, id) => peer.frame(FRAME.data, id, BODY)],
  [
    'a header twice',
    (peer, id) => {
      const header = responseHeader([outputOf([1_000], 4_000)]);
      peer.frame(FRAME.response, id, header);
      peer.frame(FRAME.response, id, header);
    },
  ],
  [
    'more of a body than its header says',
    (peer, id) => {
      peer.frame(FRAME.response, id, responseHeader([outputOf([1_000], 4_000)]));
      peer.frame(FRAME.data, id, new Uint8Array(8_000));
    },
  ],
  [
    'a body without an end',
    (peer, id) => {
      peer.frame(FRAME.response, id, responseHeader([outputOf([4], 16)]));
      void sendForEver(peer, id);
    },
  ],
  [
    'half a body, and then only pongs',
    (peer, id) => {
      peer.frame(FRAME.response, id, responseHeader([outputOf([1_000], 4_000)]));
      peer.frame(FRAME.data, id, new Uint8Array(2_000));
    },
  ],
  [
    'a body larger than any may be, of which nothing comes',
    (peer, id) => {
      const elements = MAX_BODY_BYTES / 4;
      peer.frame(FRAME.response, id, responseHeader([outputOf([elements], MAX_BODY_BYTES)]));
    },
  ],
  [
    'an answer to a request that nobody made',
    (peer, id) => peer.frame(FRAME.response, id + 7, responseHeader([RIGHT]), BODY),
  ],
  ['a refusal to a request that nobody made', (peer, id) => peer.frame(FRAME.failure, id + 7)],
  ['nothing but pongs', () => {}],
];

describe.concurrent.each(ANSWERS)('A node that answers with %s', (_, act) => {
  it('is left for another one, which answers within the deadline', async () => {
    await using nodes = await StandInNodes.create();
    const hostile = hostileNode(act);
    const bad = await nodes.add(hostile, { ...IDLE, serviceMs: 0.1 });
    const good = await nodes.add(echoHandler(), { ...IDLE, serviceMs: 500 });
    await nodes.connect();
    const options = { prefer: { nodes: [bad.id] }, deadlineMs: DEADLINE_MS };
    const result = await inferAt(nodes, options);
    expect(hostile.asked.count).toBe(1);
    expect(result.node).toBe(good.id);
    expect(result.outputs['x']?.toArray()).toEqual([1, 2]);
  });

  it('gives its caller one typed error by the deadline when there is no other', async () => {
    await using nodes = await StandInNodes.create();
    await nodes.add(hostileNode(act));
    await expect(inferAt(nodes, { deadlineMs: 1_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(CONNECTION|INVALID_MESSAGE|DEADLINE)$/),
    });
  });
});

describe('A node that answers a request and goes on', () => {
  it('is cut off when it sends more than what may still come', async () => {
    await using nodes = await StandInNodes.create();
    const reset = Promise.withResolvers<void>();
    const node = await nodes.add(
      hostileNode((peer, id) => {
        peer.stream.addEventListener('close', () => reset.resolve());
        peer.frame(FRAME.response, id, responseHeader([RIGHT]), BODY);
        void sendForEver(peer, id);
      }),
    );
    expect((await inferAt(nodes)).node).toBe(node.id);
    await reset.promise;
  });
});
