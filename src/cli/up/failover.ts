import { setTimeout as sleep } from 'node:timers/promises';
import { isSwarmError, NoNodeError } from '../../../protocols/errors.ts';
import type { Tensor } from '../../../protocols/tensor.ts';
import type { NodeId } from '../../../protocols/types.ts';
import { readAnswers } from '../../client/answer-reader.ts';
import type { SwarmClient } from '../../client/client.ts';
import type { Publication } from './demo-publication.ts';
import { FailoverTally } from './failover-tally.ts';

/** Requests kept in flight over all models. */
export const LOAD_IN_FLIGHT = 16;

/** How long the load runs before the kill, and again after it. */
const PHASE_MS = 1_250;

/** How long one request may take, finding another node included. */
const DEADLINE_MS = 15_000;

/** A request of the load and the answer it got when everything was well. */
export interface LoadRequest {
  readonly publication: Publication;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly answer: string;
}

export interface FailoverOptions {
  /** Ends a node as a power cut would. */
  readonly kill: (node: NodeId) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface FailoverResult {
  readonly killed: NodeId;
  readonly tally: FailoverTally;
}

/**
 * Keeps requests in flight against all models, kills the node that answers most in the middle, and counts.
 *
 * @throws {ERR_NO_NODE} when not one request was answered before the kill.
 */
export async function runFailover(
  client: SwarmClient,
  requests: readonly LoadRequest[],
  { kill, signal }: FailoverOptions,
): Promise<FailoverResult> {
  const tally = new FailoverTally();
  const over = new AbortController();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (!over.signal.aborted && !signal.aborted) {
      const request = requests[next % requests.length];
      next += 1;
      if (request !== undefined) await send(client, request, tally, signal);
    }
  };
  const workers = Promise.all(Array.from({ length: LOAD_IN_FLIGHT }, worker));
  try {
    await sleep(PHASE_MS, undefined, { signal });
    const killed = tally.busiest();
    if (killed === undefined) {
      throw new NoNodeError(`no request was answered within ${PHASE_MS} ms: no node to kill`);
    }
    const dead = kill(killed);
    tally.kill(killed);
    await dead;
    await sleep(PHASE_MS, undefined, { signal });
    return { killed, tally };
  } finally {
    // What is in flight is waited for and counted: none may be lost at the end either.
    over.abort();
    await workers;
    signal.throwIfAborted();
  }
}

async function send(
  client: SwarmClient,
  { publication, inputs, answer }: LoadRequest,
  tally: FailoverTally,
  signal: AbortSignal,
): Promise<void> {
  const { reference, manifest, model } = publication;
  try {
    const result = await client.infer(reference, inputs, { deadlineMs: DEADLINE_MS, signal });
    const [found] = readAnswers(manifest, result.outputs);
    tally.answered({
      model: model.name,
      node: result.node,
      failedAttempts: result.failedAttempts.length,
      latencyMs: result.latencyMs,
      asBefore: found?.text === answer,
    });
  } catch (error) {
    if (signal.aborted) return;
    tally.failedWith(isSwarmError(error) ? `${error.code}: ${error.message}` : String(error));
  }
}
