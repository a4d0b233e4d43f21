import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionError } from '../../protocols/errors.ts';
import type { SwarmClient } from '../client/client.ts';

/** What the gateway needs of the swarm: it is a client and nothing more. */
export type GatewayClient = Pick<
  SwarmClient,
  | 'infer'
  | 'describe'
  | 'readFile'
  | 'searchModels'
  | 'replicas'
  | 'servable'
  | 'watchFleet'
  | 'joinProvisionLease'
  | 'close'
>;

/** Milliseconds between two attempts to join; the first is made at once. */
const RETRY_PAUSE_MS = 1_000;

/**
 * The gateway's place in the swarm. It is joined in the background, as often as that takes: a gateway that starts before the first
 * peer, or behind a partition, is alive and not ready.
 */
export class SwarmAccess {
  readonly #connect: (signal: AbortSignal) => Promise<GatewayClient>;
  readonly #onFailure: (error: unknown) => void;
  readonly #ending = new AbortController();
  #client: GatewayClient | undefined;
  #joining: Promise<void> | undefined;

  constructor(
    connect: (signal: AbortSignal) => Promise<GatewayClient>,
    onFailure: (error: unknown) => void,
  ) {
    this.#connect = connect;
    this.#onFailure = onFailure;
  }

  /** Undefined until the swarm was joined. */
  get joined(): GatewayClient | undefined {
    return this.#client;
  }

  /** @throws {ERR_CONNECTION} until the swarm was joined. */
  get client(): GatewayClient {
    if (this.#client !== undefined) return this.#client;
    throw new ConnectionError('the gateway has not joined the swarm yet');
  }

  /** Begins to join. */
  start(): void {
    this.#joining ??= this.#join();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#joining;
    await this.#client?.close();
  }

  async #join(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        this.#client = await this.#connect(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#onFailure(error);
      }
      // Only the end of the gateway ends the pause early, and the loop sees that itself.
      await delay(RETRY_PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
