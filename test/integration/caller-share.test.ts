import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { encodeFrameHeader, FrameDecoder } from '../../protocols/codec/frame.ts';
import { FRAME } from '../../protocols/inference/frame-type.ts';
import { DEFAULT_BODY_BUDGET_BYTES, INFERENCE_VERSION } from '../../protocols/inference/index.ts';
import { encodeRequest } from '../../protocols/inference/message.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { type SwarmClient, Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { createTestnet } from '../support/testnet.ts';

/** Bytes of each body; this many of them fill all that a node has for bodies. */
const BODY_BYTES = 64 * 1024 * 1024;
const BODIES = DEFAULT_BODY_BUDGET_BYTES / BODY_BYTES;

/** A request that announces its body, and brings nothing of it. */
function announcement(id: number, version: VersionCid): readonly Uint8Array[] {
  const header = encodeRequest({
    version,
    deadlineMs: 60_000,
    priority: 0,
    traceparent: '',
    outputs: [],
    responseCredit: 0,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [BODY_BYTES / 16, 4], byteLength: BODY_BYTES }],
  });
  return [encodeFrameHeader(FRAME.request, id, header.byteLength), header];
}

describe('One caller that announces more than a node has room for', () => {
  it('is given the half that it leaves free, and another caller’s body comes in beside it', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 1 });
    const client = testnet.clients[0] as SwarmClient;
    const { publisher, cid } = await testnet.publish(addModel(), { name: 'adder' });
    const mallory = await testnet.addPeer();
    const [address] = testnet.nodes[0]?.addresses ?? [];
    const stream = await mallory.libp2p.dialProtocol(
      multiaddr(address),
      protocolId(testnet.network, 'inference', INFERENCE_VERSION),
      { signal: AbortSignal.timeout(10_000) },
    );
    const granted = new Set<number>();
    const refused = new Set<number>();
    let pongs = 0;
    const decoder = new FrameDecoder(({ type, id }) => {
      if (type === FRAME.credit) granted.add(id);
      if (type === FRAME.failure) refused.add(id);
      if (type === FRAME.pong) pongs += 1;
    });
    stream.addEventListener('message', ({ data }) => decoder.push(data.subarray()));
    for (let id = 1; id <= BODIES; id += 1) {
      for (const piece of announcement(id, cid)) stream.send(piece);
    }
    await expect.poll(() => granted.size, { timeout: 10_000 }).toBeGreaterThan(0);
    // The answer to what was sent last: all before it has been decided.
    stream.send(encodeFrameHeader(FRAME.ping, 0, 0));
    await expect.poll(() => pongs, { timeout: 10_000 }).toBe(1);
    expect(refused.size).toBe(0);
    expect(granted.size).toBe(BODIES / 2);

    const rows = 64 * 1024;
    const x = Tensor.from('FP32', [rows, 4], new Float32Array(4 * rows).fill(1));
    const { outputs } = await client.infer(`${publisher}/adder`, { x });
    expect(outputs['sum']?.bytes.byteLength).toBe(x.bytes.byteLength);
    expect(granted.size).toBeLessThanOrEqual(BODIES / 2);
    stream.abort(new Error('done'));
  });
});
