import type { Stream } from '@libp2p/interface';
import { z } from 'zod';
import { MessageExchange } from '../codec/message-exchange.ts';
import { ConnectionError, InvalidMessageError } from '../errors.ts';
import { errorFromFailure, failureFromError } from '../status.ts';
import { MAX_GRANT_BYTES } from './placement-grant.ts';

export const REPLICA_VERSION = '1.0.0';

const MAX_REQUEST_BYTES = MAX_GRANT_BYTES + 64;
const MAX_PROGRESS_BYTES = 4 * 1024;

/** "Hold a replica of this version." The node checks the signed grant and its own policy before it spends anything. */
export interface ReplicaRequest {
  /** The publisher's signed {@link PlacementGrant}, which says all else. */
  readonly grant: Uint8Array;
}

/** What the node is doing, in this order; `ready` is the last. */
export type ReplicaProgress =
  | { readonly state: 'fetching'; readonly bytes: number; readonly totalBytes: number | null }
  | { readonly state: 'loading' }
  | { readonly state: 'ready' };

const requestSchema = z.object({ grant: z.instanceof(Uint8Array) });

const progressSchema = z.union([
  z.object({
    state: z.literal('fetching'),
    bytes: z.number().min(0),
    totalBytes: z.number().min(0).nullable(),
  }),
  z.object({ state: z.literal('loading') }),
  z.object({ state: z.literal('ready') }),
  z.object({
    failure: z.object({
      status: z.int().min(1),
      message: z.string(),
      afterMs: z.number().nullable(),
    }),
  }),
]);

/**
 * Asks a node to hold a replica and yields its progress, `ready` last. Leaving the loop early resets the stream; the node
 * goes on.
 *
 * @throws the node's refusal (ERR_FORBIDDEN, ERR_INVALID_MODEL, ERR_STORE, …), or ERR_CONNECTION | ERR_INVALID_MESSAGE.
 */
export async function* requestReplica(
  stream: Stream,
  request: ReplicaRequest,
  signal: AbortSignal,
): AsyncGenerator<ReplicaProgress> {
  const exchange = new MessageExchange(stream, { maxMessageBytes: MAX_PROGRESS_BYTES });
  let done = false;
  try {
    await exchange.write(request, signal);
    while (!done) {
      const progress = progressSchema.safeParse(await exchange.read(signal));
      if (!progress.success) throw new InvalidMessageError('replica progress has a wrong form');
      if ('failure' in progress.data) throw errorFromFailure(progress.data.failure);
      done = progress.data.state === 'ready';
      if (done) await exchange.close(signal);
      yield progress.data;
    }
  } finally {
    if (!done) exchange.abort(new ConnectionError('replica request was given up here'));
  }
}

/** Answers one replica request on an inbound stream with the progress of `hold`; never rejects. */
export async function handleReplica(
  stream: Stream,
  hold: (request: ReplicaRequest, signal: AbortSignal) => AsyncIterable<ReplicaProgress>,
  signal: AbortSignal,
): Promise<void> {
  const exchange = new MessageExchange(stream, { maxMessageBytes: MAX_REQUEST_BYTES });
  try {
    const request = parseRequest(await exchange.read(signal));
    try {
      for await (const progress of hold(request, signal)) await exchange.write(progress, signal);
    } catch (error) {
      await exchange.write({ failure: failureFromError(error) }, signal);
    }
    await exchange.close(signal);
  } catch (error) {
    exchange.abort(error);
  }
}

function parseRequest(message: unknown): ReplicaRequest {
  const parsed = requestSchema.safeParse(message);
  if (!parsed.success) throw new InvalidMessageError('replica request has a wrong form');
  return parsed.data;
}
