import type { Stream } from '@libp2p/interface';
import { z } from 'zod';
import { MessageExchange } from '../codec/message-exchange.ts';
import { InvalidMessageError } from '../errors.ts';
import { MAX_ANNOUNCEMENT_BYTES, MAX_RELEASE_BYTES } from '../limits.ts';
import type { WireFailure } from '../status.ts';
import { errorFromFailure, failureFromError } from '../status.ts';

export const ROUTING_VERSION = '1.0.0';

/** Announcements in one snapshot: a bounded sample is enough to choose from. */
export const MAX_SNAPSHOT_ANNOUNCEMENTS = 128;

const MAX_REQUEST_BYTES = 1024;
const MAX_SNAPSHOT_BYTES =
  MAX_SNAPSHOT_ANNOUNCEMENTS * (MAX_ANNOUNCEMENT_BYTES + 32) + MAX_RELEASE_BYTES + 1024;

/** What a peer is asked for: the release record of a model and who serves it, who serves one version, or everyone. */
export type RoutingQuery =
  | {
      readonly kind: 'model';
      readonly publisher: string;
      readonly name: string;
      readonly selector: string;
    }
  | { readonly kind: 'nodes' };

/** A signed announcement and how long the answering peer has held it. */
export interface RelayedAnnouncement {
  readonly bytes: Uint8Array;
  readonly ageMs: number;
}

/** What a peer knows: hints to be checked by their signatures, then by asking the nodes themselves. */
export interface RoutingSnapshot {
  /** The signed release record, null when the peer found none (or none was asked for). */
  readonly release: Uint8Array | null;
  readonly announcements: readonly RelayedAnnouncement[];
}

const querySchema = z.union([
  z.object({
    kind: z.literal('model'),
    publisher: z.string().max(128),
    name: z.string().max(64),
    selector: z.string().max(128),
  }),
  z.object({ kind: z.literal('nodes') }),
]);

const failureSchema = z.object({
  status: z.int().min(1),
  message: z.string(),
  afterMs: z.number().nullable(),
});

const answerSchema = z.union([
  z.object({
    release: z.instanceof(Uint8Array).nullable(),
    announcements: z
      .array(z.object({ bytes: z.instanceof(Uint8Array), ageMs: z.number().min(0) }))
      .max(MAX_SNAPSHOT_ANNOUNCEMENTS),
  }),
  z.object({ failure: failureSchema }),
]);

/**
 * Asks a peer for a routing snapshot over a fresh stream, which this call closes.
 *
 * @throws {ERR_INVALID_MESSAGE | ERR_CONNECTION} when the peer breaks the protocol or the stream, or its own refusal.
 */
export async function requestSnapshot(
  stream: Stream,
  query: RoutingQuery,
  signal: AbortSignal,
): Promise<RoutingSnapshot> {
  const exchange = new MessageExchange(stream, { maxMessageBytes: MAX_SNAPSHOT_BYTES });
  try {
    await exchange.write(query, signal);
    const answer = answerSchema.safeParse(await exchange.read(signal));
    if (!answer.success) {
      throw new InvalidMessageError('routing answer has a wrong form', { cause: answer.error });
    }
    await exchange.close(signal);
    if ('failure' in answer.data) throw errorFromFailure(answer.data.failure);
    return answer.data;
  } catch (error) {
    exchange.abort(error);
    throw error;
  }
}

/** Answers one query on an inbound stream; never rejects: a peer that breaks the protocol gets its stream reset. */
export async function handleRouting(
  stream: Stream,
  answer: (query: RoutingQuery, signal: AbortSignal) => Promise<RoutingSnapshot>,
  signal: AbortSignal,
): Promise<void> {
  const exchange = new MessageExchange(stream, { maxMessageBytes: MAX_REQUEST_BYTES });
  try {
    const query = querySchema.safeParse(await exchange.read(signal));
    if (!query.success) throw new InvalidMessageError('routing query has a wrong form');
    await exchange.write(await answerOrFailure(query.data, answer, signal), signal);
    await exchange.close(signal);
  } catch (error) {
    exchange.abort(error);
  }
}

async function answerOrFailure(
  query: RoutingQuery,
  answer: (query: RoutingQuery, signal: AbortSignal) => Promise<RoutingSnapshot>,
  signal: AbortSignal,
): Promise<RoutingSnapshot | { readonly failure: WireFailure }> {
  try {
    return await answer(query, signal);
  } catch (error) {
    return { failure: failureFromError(error) };
  }
}
