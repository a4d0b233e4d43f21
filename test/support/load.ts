import { type SwarmClient, Tensor } from '../../src/index.ts';

const DEFAULT_DEADLINE_MS = 60_000;

export type LoadTensors = Readonly<Record<string, Tensor>>;

export interface LoadInit {
  /** Callers, each of whom asks again once it was answered. @default 8 */
  readonly callers?: number | undefined;
  /** How long one request may take, finding another node included. @default 60000 */
  readonly deadlineMs?: number | undefined;
  /** What a caller's request number `index` sends. @default a row for an {@link addModel} of offset 1 */
  readonly inputs?: ((index: number) => LoadTensors) | undefined;
  /** Whether its answer is right. @default the sum of that row and 1 */
  readonly check?: ((outputs: LoadTensors, index: number) => boolean) | undefined;
}

/** Requests that are sent all the time, and what came of them so far. It ends with the scope that holds it. */
export interface Load extends AsyncDisposable {
  /** Right answers by node. */
  readonly answers: ReadonlyMap<string, number>;
  /** The node that gave the last right one; undefined before the first. */
  readonly lastNode: string | undefined;
  readonly failures: readonly string[];
  readonly wrong: number;
  total(): number;
  /** Ends the load once what is in flight is answered. */
  stop(): Promise<void>;
}

/** Keeps callers asking until it is stopped, and counts who answers. */
export function startLoad(
  client: SwarmClient,
  reference: string,
  { callers = 8, deadlineMs = DEFAULT_DEADLINE_MS, inputs = row, check = isSum }: LoadInit = {},
): Load {
  const answers = new Map<string, number>();
  const failures: string[] = [];
  let lastNode: string | undefined;
  let wrong = 0;
  let running = true;
  const worker = async (): Promise<void> => {
    for (let index = 0; running; index = (index + 1) % 1000) {
      try {
        const answer = await client.infer(reference, inputs(index), { deadlineMs });
        if (!check(answer.outputs, index)) wrong += 1;
        else {
          lastNode = answer.node;
          answers.set(answer.node, (answers.get(answer.node) ?? 0) + 1);
        }
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const workers = Array.from({ length: callers }, worker);
  const stop = async (): Promise<void> => {
    running = false;
    await Promise.all(workers);
  };
  return {
    answers,
    failures,
    get lastNode() {
      return lastNode;
    },
    get wrong() {
      return wrong;
    },
    total: () => [...answers.values()].reduce((sum, count) => sum + count, 0),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function row(index: number): LoadTensors {
  return { x: Tensor.from('FP32', [1, 4], [index, 0, 0, 0]) };
}

function isSum({ sum }: LoadTensors, index: number): boolean {
  return sum?.data[0] === index + 1;
}
