import { type SwarmClient, Tensor } from '../../src/index.ts';

/** How long one request of the load may take, finding another node included. */
const DEADLINE_MS = 60_000;

/** Requests against an {@link addModel} of offset 1, and what came of them so far. */
export interface Load {
  /** Right answers by node. */
  readonly answers: ReadonlyMap<string, number>;
  readonly failures: readonly string[];
  readonly wrong: number;
  total(): number;
  /** Ends the load once what is in flight is answered. */
  stop(): Promise<void>;
}

/** Keeps eight requests in flight until it is stopped, and counts who answers. */
export function startLoad(client: SwarmClient, reference: string): Load {
  const answers = new Map<string, number>();
  const failures: string[] = [];
  let wrong = 0;
  let running = true;
  const worker = async (): Promise<void> => {
    for (let index = 0; running; index = (index + 1) % 1000) {
      const x = Tensor.from('FP32', [1, 4], [index, 0, 0, 0]);
      try {
        const { outputs, node } = await client.infer(reference, { x }, { deadlineMs: DEADLINE_MS });
        if (outputs['sum']?.data[0] === index + 1) answers.set(node, (answers.get(node) ?? 0) + 1);
        else wrong += 1;
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const workers = Array.from({ length: 8 }, worker);
  return {
    answers,
    failures,
    get wrong() {
      return wrong;
    },
    total: () => [...answers.values()].reduce((sum, count) => sum + count, 0),
    async stop() {
      running = false;
      await Promise.all(workers);
    },
  };
}
