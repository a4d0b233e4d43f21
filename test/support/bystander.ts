import { setTimeout as delay } from 'node:timers/promises';
import { Tensor } from '../../protocols/tensor.ts';
import type { NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import type { SwarmClient } from '../../src/index.ts';
import { addModel } from './models.ts';
import type { Testnet } from './testnet.ts';

/** Pause between requests, so that asking is not itself what keeps the machine busy. */
const PAUSE_MS = 25;

/** What a bystander met. */
export interface BystanderReport {
  /** Answers by node. */
  readonly answers: ReadonlyMap<NodeId, number>;
  readonly failures: readonly unknown[];
}

/** A model that every node of a testnet serves, asked again and again while others do what they do. */
export class Bystander {
  readonly publisher: PublisherId;
  readonly cid: VersionCid;
  readonly #answers = new Map<NodeId, number>();
  readonly #failures: unknown[] = [];
  readonly #asking: Promise<void>;
  #stopped = false;

  static async start(testnet: Testnet): Promise<Bystander> {
    const { publisher, cid, name } = await testnet.publish(addModel(), {
      name: 'bystander',
      replicas: testnet.nodes.length,
    });
    const client = await testnet.addClient();
    return new Bystander(client, `${publisher}/${name}`, { publisher, cid });
  }

  private constructor(
    client: SwarmClient,
    reference: string,
    { publisher, cid }: { readonly publisher: PublisherId; readonly cid: VersionCid },
  ) {
    this.publisher = publisher;
    this.cid = cid;
    this.#asking = this.#ask(client, reference);
  }

  /** Ends the requests and tells how they went. */
  async stop(): Promise<BystanderReport> {
    this.#stopped = true;
    await this.#asking;
    return { answers: this.#answers, failures: this.#failures };
  }

  async #ask(client: SwarmClient, reference: string): Promise<void> {
    const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
    while (!this.#stopped) {
      try {
        const { outputs, node, failedAttempts } = await client.infer(reference, { x });
        if (outputs['sum']?.toArray().join() !== '2,3,4,5') throw new Error('wrong answer');
        this.#failures.push(...failedAttempts);
        this.#answers.set(node, (this.#answers.get(node) ?? 0) + 1);
      } catch (error) {
        this.#failures.push(error);
      }
      await delay(PAUSE_MS);
    }
  }
}
