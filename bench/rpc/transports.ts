import type { Transport } from './transport.ts';

/** Loaded one by one: a process holds its own transport and none of the others. */
const TRANSPORTS = {
  'gpu-swarm': async () => (await import('./swarm-transport.ts')).swarmTransport,
  'tls socket': async () => (await import('./tls-transport.ts')).tlsTransport,
  http: async () => (await import('./http-transport.ts')).httpTransport,
  https: async () => (await import('./http-transport.ts')).httpsTransport,
  grpc: async () => (await import('./grpc-transport.ts')).grpcTransport,
  'grpc tls': async () => (await import('./grpc-transport.ts')).grpcTlsTransport,
  'onnxruntime direct': async () => (await import('./direct-runtime.ts')).directRuntime,
} satisfies Record<string, () => Promise<Transport>>;

export type TransportName = keyof typeof TRANSPORTS;

/** What the others are compared with. */
export const OURS: TransportName = 'gpu-swarm';

/** The least that has to be done: no framing beyond a length. */
export const LIMIT: TransportName = 'tls socket';

/** No transport at all: the model in the caller's own process, for the executor mode. */
export const DIRECT: TransportName = 'onnxruntime direct';

export const TRANSPORT_NAMES = Object.keys(TRANSPORTS) as TransportName[];

export async function loadTransport(name: TransportName): Promise<Transport> {
  return TRANSPORTS[name]();
}
