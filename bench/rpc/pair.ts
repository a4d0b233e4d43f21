import { ASK_TIMEOUT_MS, WorkerProcess } from '../worker-process.ts';
import type { Measurement } from './measure.ts';
import type { PeerQuestions } from './peer.ts';
import type { Mode } from './service.ts';
import { DIRECT, type TransportName } from './transports.ts';

const PEER_MODULE = new URL('peer.ts', import.meta.url);

type Peer = WorkerProcess<PeerQuestions>;

/** One kind of traffic: what is sent, and how much of it at once. */
export interface Cell {
  readonly payloadBytes: number;
  readonly inFlight: number;
}

/** A measurement with the CPU time of both ends per request; of the model's own process, which is the same for all, none. */
export interface Sample extends Pick<Measurement, 'p50Us' | 'p99Us' | 'requestsPerSecond'> {
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
}

export interface PairInit {
  readonly transport: TransportName;
  readonly mode: Mode;
  readonly modelFile?: string | undefined;
  readonly profileDir?: string | undefined;
}

/** A client's and a server's process over one transport; idle except while it is measured. */
export class Pair {
  readonly transport: TransportName;
  readonly #client: Peer;
  /** None where the client's process does the work itself. */
  readonly #server: Peer | undefined;

  private constructor(transport: TransportName, client: Peer, server: Peer | undefined) {
    this.transport = transport;
    this.#client = client;
    this.#server = server;
  }

  static async start(init: PairInit): Promise<Pair> {
    const server = init.transport === DIRECT ? undefined : await startPeer('server', init);
    let client: Peer | undefined;
    try {
      client = await startPeer('client', { ...init, modelFile: undefined });
      const address = (await server?.ask('serve', null)) ?? init.modelFile ?? '';
      await client.ask('connect', { address });
      return new Pair(init.transport, client, server);
    } catch (error) {
      await client?.stop();
      await server?.stop();
      throw error;
    }
  }

  /** @throws when the answer to a payload is not, byte for byte, the right one. */
  async check(payloadBytes: number): Promise<void> {
    await this.#client.ask('check', { payloadBytes });
  }

  async measure(cell: Cell, seconds: number): Promise<Sample> {
    const before = (await this.#server?.ask('cpu', null)) ?? 0;
    const timeoutMs = ASK_TIMEOUT_MS + seconds * 1000;
    const found = await this.#client.ask('measure', { ...cell, seconds }, timeoutMs);
    const after = (await this.#server?.ask('cpu', null)) ?? 0;
    const { p50Us, p99Us, requestsPerSecond, requests, cpuUs } = found;
    return {
      p50Us,
      p99Us,
      requestsPerSecond,
      clientCpuUs: cpuUs / requests,
      serverCpuUs: (after - before) / requests,
    };
  }

  async stop(): Promise<void> {
    // The client first: a server that goes away under it would be an error to tell.
    await this.#client.stop();
    await this.#server?.stop();
  }
}

async function startPeer(
  role: 'client' | 'server',
  { transport, mode, modelFile, profileDir }: PairInit,
): Promise<Peer> {
  return WorkerProcess.start<PeerQuestions>(PEER_MODULE, {
    what: `${mode} ${transport} ${role}`,
    args: [transport, mode, ...(modelFile === undefined ? [] : [modelFile])],
    profileDir,
  });
}

/** Column by column the best of both: what disturbs a round can only make it worse. */
export function bestOf(a: Sample | undefined, b: Sample): Sample {
  if (a === undefined) return b;
  return {
    p50Us: Math.min(a.p50Us, b.p50Us),
    p99Us: Math.min(a.p99Us, b.p99Us),
    requestsPerSecond: Math.max(a.requestsPerSecond, b.requestsPerSecond),
    clientCpuUs: Math.min(a.clientCpuUs, b.clientCpuUs),
    serverCpuUs: Math.min(a.serverCpuUs, b.serverCpuUs),
  };
}
