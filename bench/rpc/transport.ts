import type { RpcService } from './service.ts';

export interface RpcServer {
  /** A multiaddr, `host:port`, or whatever else the transport dials. */
  readonly address: string;
  close(): Promise<void>;
}

export interface RpcClient {
  /** Sends one request and resolves with its answer; any number may be under way. */
  call(payload: Buffer): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** One way to carry a request. Settings are each library's own, apart from limits that the payloads would exceed. */
export interface Transport {
  /** Listens on loopback on a free port. */
  serve(service: RpcService): Promise<RpcServer>;
  connect(address: string): Promise<RpcClient>;
}

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
