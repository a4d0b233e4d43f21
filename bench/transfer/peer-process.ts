import path from 'node:path';
import { WorkerProcess } from '../worker-process.ts';
import type { MoverName } from './movers.ts';
import type { Fetched, PeerQuestions } from './peer.ts';

const PEER_MODULE = new URL('peer.ts', import.meta.url);

/** Milliseconds for one fetch: 256 MiB at half a MiB a second. */
const FETCH_TIMEOUT_MS = 600_000;

export interface PeerProcessInit {
  readonly mover: MoverName;
  /** What it is, for messages; also the name of its folder and of its profile. */
  readonly what: string;
  /** Where its own folder is made. */
  readonly folder: string;
  readonly uploadBytesPerSecond?: number | undefined;
  readonly profileDir?: string | undefined;
}

/** One end's process, from the benchmark's side. */
export class PeerProcess {
  readonly address: string;
  /** All that it keeps on disk. */
  readonly folder: string;
  readonly #worker: WorkerProcess<PeerQuestions>;

  private constructor(worker: WorkerProcess<PeerQuestions>, address: string, folder: string) {
    this.#worker = worker;
    this.address = address;
    this.folder = folder;
  }

  static async start(init: PeerProcessInit): Promise<PeerProcess> {
    const { mover, what, profileDir, uploadBytesPerSecond } = init;
    const folder = path.join(init.folder, what);
    const worker = await WorkerProcess.start<PeerQuestions>(PEER_MODULE, {
      what,
      args: [mover],
      profileDir,
    });
    try {
      const address = await worker.ask('open', { folder, uploadBytesPerSecond });
      return new PeerProcess(worker, address, folder);
    } catch (error) {
      await worker.stop();
      throw error;
    }
  }

  /** @see Endpoint.hold */
  async hold(file: string): Promise<string> {
    return this.#worker.ask('hold', { file });
  }

  async connect(others: readonly PeerProcess[]): Promise<void> {
    await this.#worker.ask('connect', { addresses: others.map(({ address }) => address) });
  }

  async fetch(reference: string, from: readonly PeerProcess[]): Promise<Fetched> {
    const addresses = from.map(({ address }) => address);
    return this.#worker.ask('fetch', { reference, addresses }, FETCH_TIMEOUT_MS);
  }

  /** @see Endpoint.use; the seconds that it took. */
  async use(reference: string): Promise<number> {
    return this.#worker.ask('use', { reference }, FETCH_TIMEOUT_MS);
  }

  async forget(reference: string): Promise<void> {
    await this.#worker.ask('forget', { reference });
  }

  /** CPU seconds since the process began, all its threads. */
  async cpuSeconds(): Promise<number> {
    return this.#worker.ask('cpu', null);
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }
}
