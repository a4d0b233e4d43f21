import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { Uint8ArrayList } from 'uint8arraylist';
import { encodeFrameHeader } from '../../protocols/codec/frame.ts';
import { FRAME } from '../../protocols/inference/frame-type.ts';
import { INFERENCE_VERSION } from '../../protocols/inference/index.ts';
import { encodeRequest } from '../../protocols/inference/message.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { createSwarmLibp2p } from '../../src/swarm/libp2p.ts';

/** Streams that it keeps open, far more than one caller may have. */
const STREAMS = 32;

const NETWORK = 'main';
const ROW = 15_000;
const ZEROS = new Uint8Array(65_536);
const [address = '', version = ''] = process.argv.slice(2);

/** A request for rows of the slow model, whose body is announced, sent beside its header, or in part after it. */
function request(
  id: number,
  rows: number,
  body: 'beside' | 'begun',
  cid = version,
): Uint8ArrayList {
  const byteLength = rows * ROW * 4;
  const header = encodeRequest({
    version: cid as VersionCid,
    deadlineMs: 60_000,
    priority: 0,
    traceparent: '',
    outputs: [],
    responseCredit: 0,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, ROW], byteLength }],
  });
  const inline = body === 'beside' ? byteLength : 0;
  const begun = body === 'begun' ? 65_536 : 0;
  return new Uint8ArrayList(
    encodeFrameHeader(FRAME.request, id, header.byteLength + inline),
    header,
    ZEROS.subarray(0, inline),
    ...(begun === 0 ? [] : [encodeFrameHeader(FRAME.data, id, begun), ZEROS.subarray(0, begun)]),
  );
}

const FLOODS: readonly ((id: number) => Uint8ArrayList)[] = [
  (id) => request(id, 1, 'beside'),
  (id) => request(id, 500, 'begun'),
  // As many as one stream may have open, each with what may come unasked; then answers to nobody.
  (id) => (id <= 1_020 ? request(id, 2, 'begun') : request(id, 1, 'beside')),
  (id) => request(id, 1, 'beside', 'bafynosuchversion'),
];

/** Sends one kind of flood as fast as the stream takes it, until the node resets the stream. */
async function flood(stream: Stream, index: number): Promise<void> {
  // Every other one does not even read what it is told.
  if (index % 2 === 1) stream.pause();
  const next = FLOODS[(index >> 1) % FLOODS.length];
  for (let id = 1; stream.status === 'open'; id += 1) {
    if (next !== undefined && !stream.send(next(id))) await stream.onDrain();
    // Or its own end of other streams would never get a turn.
    if (id % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

const libp2p = await createSwarmLibp2p({
  network: NETWORK,
  privateKey: await generateKeyPair('Ed25519'),
  dhtMode: 'client',
  sequences: createMemorySequenceStore(),
});
const inference = protocolId(NETWORK, 'inference', INFERENCE_VERSION);
const keep = async (index: number): Promise<never> => {
  for (;;) {
    try {
      const signal = AbortSignal.timeout(10_000);
      const options = { signal, maxOutboundStreams: STREAMS + 1 };
      await flood(await libp2p.dialProtocol(multiaddr(address), inference, options), index);
    } catch {
      // Reset by the node, as it should: on with the next one.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
process.stdout.write('flooding\n');
await Promise.all(Array.from({ length: STREAMS }, (_, index) => keep(index)));
