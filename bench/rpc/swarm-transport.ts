import { generateKeyPair } from '@libp2p/crypto/keys';
import { multiaddr } from '@multiformats/multiaddr';
import {
  handleInference,
  INFERENCE_VERSION,
  InferenceConnection,
} from '../../protocols/inference/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { createSwarmLibp2p } from '../../src/swarm/libp2p.ts';
import { DEADLINE_MS, floats, VERSION } from './service.ts';
import type { Transport } from './transport.ts';

const NETWORK = 'bench';

const PROTOCOL = protocolId(NETWORK, 'inference', INFERENCE_VERSION);

/** What the TLS of the others is compared with; a fall-back to Noise would be another measurement. */
const ENCRYPTION = '/tls/1.0.0';

/** Both ends of the inference protocol on the libp2p stack of every peer of a swarm, DHT and gossip running. */
export const swarmTransport: Transport = {
  async serve(service) {
    const libp2p = await createSwarmLibp2p({
      network: NETWORK,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'server',
      listen: ['/ip4/127.0.0.1/tcp/0'],
      sequences: createMemorySequenceStore(),
    });
    await libp2p.handle(PROTOCOL, (stream, connection) =>
      handleInference(stream, connection.remotePeer.toString(), service.handler, {
        onProtocolError: (error) => console.error(error),
      }),
    );
    const [address] = libp2p.getMultiaddrs();
    if (address === undefined) throw new Error('expected libp2p to listen, found no address');
    return { address: address.toString(), close: async () => libp2p.stop() };
  },

  async connect(address) {
    const libp2p = await createSwarmLibp2p({
      network: NETWORK,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'client',
      sequences: createMemorySequenceStore(),
    });
    const dialled = await libp2p.dial(multiaddr(address));
    if (dialled.encryption !== ENCRYPTION) {
      throw new Error(`expected ${ENCRYPTION}, found ${dialled.encryption}`);
    }
    const connection = new InferenceConnection(await dialled.newStream(PROTOCOL));
    return {
      call: async (payload) => {
        const request = {
          version: VERSION,
          deadlineMs: DEADLINE_MS,
          priority: 0,
          traceparent: '',
          outputs: [],
          inputs: [{ name: 'x', tensor: floats(payload) }],
        };
        // A signal for each call, as the client has.
        const { signal } = new AbortController();
        const { outputs } = await connection.infer(request, { signal });
        const [output] = outputs;
        if (output === undefined) throw new Error('expected one output, found none');
        return output.tensor.bytes;
      },
      close: async () => {
        await connection.close();
        await libp2p.stop();
      },
    };
  },
};
