import {
  handleInference,
  INFERENCE_VERSION,
  InferenceConnection,
} from '../../protocols/inference/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import { addressOf, dial, NETWORK, startLibp2p } from '../swarm-libp2p.ts';
import { DEADLINE_MS, floats, VERSION } from './service.ts';
import type { Transport } from './transport.ts';

const PROTOCOL = protocolId(NETWORK, 'inference', INFERENCE_VERSION);

/** Both ends of the inference protocol on the libp2p stack of every peer of a swarm, DHT and gossip running. */
export const swarmTransport: Transport = {
  async serve(service) {
    const libp2p = await startLibp2p({ listens: true });
    await libp2p.handle(PROTOCOL, (stream, connection) =>
      handleInference(stream, connection.remotePeer.toString(), service.handler, {
        onProtocolError: (error) => console.error(error),
      }),
    );
    return { address: addressOf(libp2p), close: async () => libp2p.stop() };
  },

  async connect(address) {
    const libp2p = await startLibp2p({ listens: false });
    const dialled = await dial(libp2p, address);
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
        const output = outputs[0];
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
