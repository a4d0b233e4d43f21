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
