import { type SwarmClient, Tensor } from '../../src/index.ts';

/** Milliseconds for which one caller waits for an answer, a load included. */
const DEADLINE_MS = 30_000;

/** Milliseconds of one run. */
const RUN_MS = 25;

/** Rounds of the loop with which its speed on this machine is found. */
const TRIAL_TRIPS = 50_000;

/** Rounds of the loop that take about {@link RUN_MS} on this machine. */
export async function tripsForOneRun(client: SwarmClient, reference: string): Promise<bigint> {
  await ask(client, reference, BigInt(TRIAL_TRIPS));
  const { executeMs } = await ask(client, reference, BigInt(TRIAL_TRIPS));
  return BigInt(Math.max(1_000, Math.round((TRIAL_TRIPS * RUN_MS) / Math.max(0.1, executeMs))));
}

/** Callers of one model, each asking again once it is answered, and what came of it. */
export class Callers {
  readonly #client: SwarmClient;
  readonly #trips: bigint;
  readonly #failures: string[] = [];
  #answered = 0;
  #over: AbortController | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(client: SwarmClient, trips: bigint) {
    this.#client = client;
    this.#trips = trips;
  }

  get answered(): number {
    return this.#answered;
  }

  /** What callers were told in place of an answer. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** One caller, once; returns the milliseconds it waited. */
  async once(reference: string): Promise<number> {
    const startedAtMs = performance.now();
    await this.#ask(reference);
    return performance.now() - startedAtMs;
  }

  start(reference: string, callers: number): void {
    const over = new AbortController();
    const call = async (): Promise<void> => {
      while (!over.signal.aborted) await this.#ask(reference);
    };
    this.#over = over;
    this.#running = Promise.all(Array.from({ length: callers }, call));
  }

  /** Resolves once those that wait are answered. */
  async stop(): Promise<void> {
    this.#over?.abort();
    await this.#running;
  }

  async #ask(reference: string): Promise<void> {
    try {
      const { outputs } = await ask(this.#client, reference, this.#trips);
      if (outputs['n']?.toArray() !== undefined) this.#answered += 1;
    } catch (error) {
      this.#failures.push(error instanceof Error ? error.message : String(error));
    }
  }
}

function ask(client: SwarmClient, reference: string, trips: bigint) {
  const inputs = { trips: Tensor.from('INT64', [], [trips]) };
  return client.infer(reference, inputs, { deadlineMs: DEADLINE_MS });
}
