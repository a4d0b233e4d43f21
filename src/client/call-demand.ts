import { type ErrorCode, isSwarmError } from '../../protocols/errors.ts';

/** A node that ends an attempt with one of these has not counted the request. */
const UNCOUNTED: ReadonlySet<ErrorCode> = new Set([
  'ERR_CONNECTION',
  'ERR_FORBIDDEN',
  'ERR_NOT_FOUND',
]);

/** Whether nodes have counted a call as demand: it counts once, however many of them it is sent to. */
export class CallDemand {
  #counted = false;
  #pending = 0;

  /** True once a node has counted the call. */
  get counted(): boolean {
    return this.#counted;
  }

  /** Sends one request of the call, which is told whether it was, or may have been, counted before. */
  async send<Answer>(send: (again: boolean) => Promise<Answer>): Promise<Answer> {
    const again = this.#counted || this.#pending > 0;
    this.#pending += 1;
    try {
      const answer = await send(again);
      this.#counted = true;
      return answer;
    } catch (error) {
      if (!isSwarmError(error) || !UNCOUNTED.has(error.code)) this.#counted = true;
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }
}
