import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { BusyError, DeadlineError, InvalidModelError } from '../../../protocols/errors.ts';
import { quotedUpTo } from '../../../protocols/quoted.ts';
import { raced } from '../../swarm/raced.ts';
import type { TokenizerAnswer, TokenizerInit, TokenizerQuestion } from './tokenizer-port.ts';

/**
 * Milliseconds that reading the file, or one question, may take. A tokenizer's file has regular expressions of its own, of which one
 * can be written that never ends.
 */
const ANSWER_TIMEOUT_MS = 10_000;

/** Memory of a thread: the largest vocabularies of today need some 200 MB while they are read. */
const MAX_HEAP_MB = 512;

/** Questions that wait for their turn at one tokenizer. */
const MAX_WAITING = 256;

/** Milliseconds after which whoever found it busy may ask again. */
const RETRY_AFTER_MS = 1_000;

const SHOWN_CHARACTERS = 200;

type Answered = PromiseWithResolvers<Exclude<TokenizerAnswer, { type: 'failed' }>>;

/**
 * A tokenizer in a thread of its own: long texts hold up nobody else, and what a stranger's file makes it do ends with the thread.
 *
 *   opening ── file read ──▶ open ── question ──▶ asked ── answer ──▶ open
 *   any ── file or texts take too long, thread dies, dispose ──▶ ended
 */
export class TokenizerThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #answerTimeoutMs: number;
  /** Settles when the file is read. */
  readonly #opened: Promise<number>;
  /** The turn of whoever asks next; never rejects. */
  #turn: Promise<unknown>;
  /** Questions whose turn is not over, those whose askers have gone included: their texts are still held. */
  #waiting = 0;
  /** What is asked now; undefined between two questions. */
  #asked: Answered | undefined;
  /** True once it has read its file: what ends it from then on says nothing of the next one that reads it. */
  #usable = false;
  /** What whoever asks it now is told; undefined while it lives. */
  #failure: Error | undefined;

  /** @param file a `tokenizer.json`, which is copied */
  constructor(file: Uint8Array, { answerTimeoutMs = ANSWER_TIMEOUT_MS } = {}) {
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#worker = startWorker({ file });
    this.#worker.on('message', (answer: TokenizerAnswer) => this.#hear(answer));
    this.#worker.once('error', (error) => this.#end(unusable(error.message)));
    this.#worker.once('exit', () => this.#end(unusable('its thread has ended')));
    // A gateway that ends need not wait for it.
    this.#worker.unref();
    this.#opened = this.#answer().then((answer) => {
      this.#usable = true;
      return answer.type === 'ready' ? answer.vocabulary : 0;
    });
    this.#turn = this.#opened.catch((error: Error) => this.#end(error));
  }

  /** True while it can be asked. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** True while somebody waits for it. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** One more than the greatest id. @throws {ERR_INVALID_MODEL} when its file is none. {ERR_DEADLINE} when that takes too long. */
  async vocabulary(): Promise<number> {
    return this.#opened;
  }

  /**
   * The token ids of each text.
   *
   * @throws {ERR_INVALID_MODEL} when the file is no tokenizer, or cannot do these texts.
   * @throws {ERR_DEADLINE} when they take longer than texts do; it is not alive afterwards.
   * @throws {ERR_BUSY} when too many wait for it, or when it ended over the texts of another.
   * @throws the signal's reason when it aborts first; the texts are tokenized to their end where that has begun.
   */
  async tokenize(
    texts: readonly string[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Int32Array[]> {
    if (this.#waiting >= MAX_WAITING) {
      throw new BusyError(
        `${MAX_WAITING} requests wait for the tokenizer, expected fewer`,
        RETRY_AFTER_MS,
      );
    }
    this.#waiting += 1;
    const tokens = this.#turn.then(() => this.#ask(texts, signal));
    const over = (): void => {
      this.#waiting -= 1;
    };
    this.#turn = tokens.then(over, over);
    return raced(tokens, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new BusyError('the tokenizer has just left memory', RETRY_AFTER_MS));
    await this.#worker.terminate();
  }

  async #ask(texts: readonly string[], signal: AbortSignal): Promise<readonly Int32Array[]> {
    signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    const answered = this.#answer();
    this.#worker.postMessage(texts satisfies TokenizerQuestion, []);
    const answer = await answered;
    return answer.type === 'tokens' ? answer.tokens : [];
  }

  /** What the thread says next. */
  async #answer(): Promise<Awaited<Answered['promise']>> {
    const asked: Answered = Promise.withResolvers();
    this.#asked = asked;
    const late = `the tokenizer has not answered within ${this.#answerTimeoutMs} ms`;
    const timer = setTimeout(
      () => this.#end(new DeadlineError(late, 'resolve')),
      this.#answerTimeoutMs,
    );
    try {
      return await asked.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #hear(answer: TokenizerAnswer): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (answer.type === 'failed') asked?.reject(unusable(answer.message));
    else asked?.resolve(answer);
  }

  /** @param error what is told to whoever is being answered, and where its file is at fault to all others */
  #end(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = this.#usable
      ? new BusyError('the tokenizer ended over another request', RETRY_AFTER_MS)
      : error;
    this.#asked?.reject(error);
    void this.#worker.terminate();
  }
}

function startWorker(init: TokenizerInit): Worker {
  const entry = new URL(`./tokenizer-worker${path.extname(import.meta.url)}`, import.meta.url);
  // Node before 22.18 runs the checkout's .ts files only when told to.
  const strip = entry.href.endsWith('.ts') && !process.features.typescript;
  return new Worker(entry, {
    workerData: init,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    execArgv: strip ? ['--no-warnings', '--experimental-strip-types'] : [],
    env: {},
  });
}

/** In words that a stranger's file may have chosen. */
function unusable(why: string): InvalidModelError {
  return new InvalidModelError(
    `the tokenizer cannot be used: ${quotedUpTo(SHOWN_CHARACTERS, why)}`,
  );
}
