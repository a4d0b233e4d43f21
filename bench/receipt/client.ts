/** The caller of the comparison: a client as an application has one, which asks for receipts or does not. */
import { generateKeyPair } from '@libp2p/crypto/keys';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { publishVersion } from '../../src/client/publisher.ts';
import { createClient, type SwarmClient } from '../../src/index.ts';
import { packModel } from '../../src/model/package.ts';
import { SwarmPeer } from '../../src/swarm/peer.ts';
import { type Measurement, type MeasureOptions, measure } from '../rpc/measure.ts';
import { createPayload, expectedReply, floats } from '../rpc/service.ts';
import type { RpcClient } from '../rpc/transport.ts';
import { NETWORK } from '../swarm-libp2p.ts';
import { answerQuestions } from '../worker.ts';
import { type Alone, measureAlone } from './alone.ts';

export interface ReceiptQuestion extends MeasureOptions {
  readonly payloadBytes: number;
  readonly receipt: boolean;
}

export type ClientQuestions = {
  /** Publishes the model of a folder on the node at the address, and finds it there. */
  readonly connect: {
    readonly ask: { readonly address: string; readonly folder: string };
    readonly answer: null;
  };
  /** Fails when an answer is not, byte for byte, the right one, or has not the receipt it should have. */
  readonly check: { readonly ask: { readonly payloadBytes: number }; readonly answer: null };
  readonly measure: { readonly ask: ReceiptQuestion; readonly answer: Measurement };
  readonly alone: {
    readonly ask: { readonly payloadBytes: number; readonly seconds: number };
    readonly answer: Alone;
  };
};

const PUBLISH_TIMEOUT_MS = 30_000;

let client: SwarmClient | undefined;
let reference = '';

answerQuestions<ClientQuestions>(
  {
    async connect({ address, folder }) {
      const version = await publish(address, folder);
      reference = version;
      client = await createClient({ network: NETWORK, bootstrap: [address], mode: 'light' });
      return null;
    },
    async check({ payloadBytes }) {
      const payload = createPayload(payloadBytes);
      const expected = expectedReply('executor', payload);
      for (const receipt of [false, true]) {
        const result = await connected().infer(reference, { x: floats(payload) }, { receipt });
        const found = result.outputs['y']?.bytes ?? new Uint8Array();
        if (Buffer.compare(expected, found) !== 0) {
          throw new Error(`answer to ${payloadBytes} bytes differs from what was expected`);
        }
        if ((result.receipt !== undefined) !== receipt) {
          throw new Error(`expected ${receipt ? 'a' : 'no'} receipt, found otherwise`);
        }
      }
      return null;
    },
    async measure({ payloadBytes, receipt, ...options }) {
      const payload = createPayload(payloadBytes);
      const expected = expectedReply('executor', payload);
      return measure(callerOf(receipt), payload, expected.byteLength, options);
    },
    async alone({ payloadBytes, seconds }) {
      return measureAlone(createPayload(payloadBytes), seconds);
    },
  },
  async () => client?.close(),
);

function connected(): SwarmClient {
  if (client === undefined) throw new Error('expected connect before the first call');
  return client;
}

function callerOf(receipt: boolean): Pick<RpcClient, 'call'> {
  const to = connected();
  return {
    call: async (payload) => {
      const { outputs } = await to.infer(reference, { x: floats(payload) }, { receipt });
      const { y } = outputs;
      if (y === undefined) throw new Error('expected output y, found none');
      return y.bytes;
    },
  };
}

async function publish(address: string, folder: string): Promise<string> {
  const key = await generateKeyPair('Ed25519');
  const peer = await SwarmPeer.start({
    network: NETWORK,
    privateKey: key,
    dhtMode: 'client',
    bootstrap: [address],
    sequences: createMemorySequenceStore(),
  });
  try {
    const signal = AbortSignal.timeout(PUBLISH_TIMEOUT_MS);
    await peer.connected(signal);
    await using version = await packModel(folder);
    const options = { signal, key, name: 'tiny', replicas: 1 };
    const { publisher, cid } = await publishVersion(peer, version, options);
    return `${publisher}/tiny@${cid}`;
  } finally {
    await peer.stop();
  }
}
