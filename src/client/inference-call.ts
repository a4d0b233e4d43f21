import type { NamedTensor } from '../../protocols/tensor.ts';
import type { InferResult } from './infer-result.ts';

/** What an {@link InferenceCall} is made of. */
export interface InferenceCallInit<Answer, Part> {
  readonly answer: Promise<Answer>;
  /** Ends the call early: `answer` then rejects with the reason, unless it is settled. */
  readonly cancel: (reason: unknown) => void;
  /** What iteration yields of an answer. */
  readonly parts: (answer: Answer) => Iterable<Part>;
}

/**
 * A call on its way: await it for the whole answer, iterate it for the answer's parts, cancel it.
 *
 * Iteration yields each output as it is final. A model that answers once has no final output before its whole answer is here:
 * a node may die between two outputs, and another one then answers anew. So its outputs come one after the other, all at the end.
 *
 * A failure rejects whatever waits for the call. As with any promise it counts as unhandled when nobody does, unless the call
 * was iterated, cancelled or left by `using`. Cancelling a call that is settled does nothing.
 */
export class InferenceCall<Answer = InferResult, Part = NamedTensor>
  extends Promise<Answer>
  implements AsyncIterable<Part>, Disposable, AsyncDisposable
{
  readonly #cancel: (reason: unknown) => void;
  readonly #parts: (answer: Answer) => Iterable<Part>;

  /** What is derived of a call is an ordinary promise: it cannot be cancelled or iterated. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  constructor({ answer, cancel, parts }: InferenceCallInit<Answer, Part>) {
    super((resolve) => resolve(answer));
    this.#cancel = cancel;
    this.#parts = parts;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Part, void, undefined> {
    yield* this.#parts(await this);
  }

  /** Ends the call: the node is told, and whoever waits gets the reason. @param reason @default an AbortError */
  cancel(reason: unknown = new DOMException('the call was cancelled', 'AbortError')): void {
    void this.#settled();
    this.#cancel(reason);
  }

  [Symbol.dispose](): void {
    this.cancel();
  }

  /** Cancels, and resolves once nothing of the call is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    await this.#settled();
  }

  /** Resolves when the call has ended, however it did; from here on its failure counts as handled. */
  async #settled(): Promise<void> {
    await this.catch(() => {
      // Whoever gives a call up does not ask how it ended.
    });
  }
}

/** A call that failed before it began. */
export function failedCall<Answer, Part>(error: unknown): InferenceCall<Answer, Part> {
  return new InferenceCall<Answer, Part>({
    answer: rejected(error),
    cancel: () => {},
    parts: () => [],
  });
}

async function rejected(error: unknown): Promise<never> {
  throw error;
}
