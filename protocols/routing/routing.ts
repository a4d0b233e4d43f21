import type { Stream } from '@libp2p/interface';
import { z } from 'zod';
import { MessageExchange } from '../codec/message-exchange.ts';
import { InvalidMessageError } from '../errors.ts';
import { MAX_ANNOUNCEMENT_BYTES, MAX_OUTCOME_BYTES, MAX_RELEASE_BYTES } from '../limits.ts';
import type { WireFailure } from '../status.ts';
import { errorFromFailure, failureFromError } from '../status.ts';
import {
  type CatalogAnswer,
  type CatalogQuery,
  catalogAnswerSchema,
  catalogQuerySchema,
  MAX_CATALOG_BYTES,
} from './catalog.ts';

export const ROUTING_VERSION = '1.0.0';

/** Announcements in one snapshot: a bounded sample is enough to choose from. */
export const MAX_SNAPSHOT_ANNOUNCEMENTS = 128;

/** Outcome digests in one snapshot. */
export const MAX_SNAPSHOT_OUTCOMES = 64;

const MAX_REQUEST_BYTES = 1024;
const MAX_SNAPSHOT_BYTES =
  MAX_SNAPSHOT_ANNOUNCEMENTS * (MAX_ANNOUNCEMENT_BYTES + 32) +
  MAX_SNAPSHOT_OUTCOMES * (MAX_OUTCOME_BYTES + 8) +
  MAX_RELEASE_BYTES +
  1024;

/** What a peer is asked for: the release record of a model and who serves it, who serves one version, or everyone. */
export type RoutingQuery =
  | {
      readonly kind: 'model';
      readonly publisher: string;
      readonly name: string;
      /** A channel, a CID, or '' for every version that the release record names. */
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
  /**
   * Milliseconds, when the question came, since a look-up in the DHT had begun that found none newer than the record; absent when
   * none was made.
   */
  readonly releaseAgeMs?: number | undefined;
  readonly announcements: readonly RelayedAnnouncement[];
  /** Signed outcome digests about the record, for the asker to weigh its guards by; absent for none. */
  readonly outcomes?: readonly Uint8Array[] | undefined;
}

/** Answers the queries of one stream. */
export interface RoutingHandler {
  snapshot(query: RoutingQuery, signal: AbortSignal): Promise<RoutingSnapshot>;
  catalog(query: CatalogQuery, signal: AbortSignal): Promise<CatalogAnswer>;
}

const querySchema = z.union([
  catalogQuerySchema,
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
    releaseAgeMs: z.number().min(0).optional(),
    announcements: z
      .array(z.object({ bytes: z.instanceof(Uint8Array), ageMs: z.number().min(0) }))
      .max(MAX_SNAPSHOT_ANNOUNCEMENTS),
    outcomes: z.array(z.instanceof(Uint8Array)).max(MAX_SNAPSHOT_OUTCOMES).optional(),
  }),
  z.object({ failure: failureSchema }),
]);

const catalogSchema = z.union([catalogAnswerSchema, z.object({ failure: failureSchema })]);

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
  const expected = { schema: answerSchema, maxBytes: MAX_SNAPSHOT_BYTES, signal };
  return request<RoutingSnapshot>(stream, query, expected);
}

/**
 * Asks a peer which models it knows, over a fresh stream, which this call closes.
 *
 * @throws {ERR_INVALID_MESSAGE | ERR_CONNECTION} as {@link requestSnapshot}.
 */
export async function requestCatalog(
  stream: Stream,
  query: CatalogQuery,
  signal: AbortSignal,
): Promise<CatalogAnswer> {
  const expected = { schema: catalogSchema, maxBytes: MAX_CATALOG_BYTES, signal };
  return request<CatalogAnswer>(stream, query, expected);
}

interface Expected<Answer> {
  readonly schema: z.ZodType<Answer | { readonly failure: WireFailure }>;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

async function request<Answer extends object>(
  stream: Stream,
  query: RoutingQuery | CatalogQuery,
  { schema, maxBytes, signal }: Expected<Answer>,
): Promise<Answer> {
  const exchange = new MessageExchange(stream, { maxMessageBytes: maxBytes });
  try {
    await exchange.write(query, signal);
    const answer = schema.safeParse(await exchange.read(signal));
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
  handler: RoutingHandler,
  signal: AbortSignal,
): Promise<void> {
  const exchange = new MessageExchange(stream, { maxMessageBytes: MAX_REQUEST_BYTES });
  try {
    const query = querySchema.safeParse(await exchange.read(signal));
    if (!query.success) throw new InvalidMessageError('routing query has a wrong form');
    await exchange.write(await answerOrFailure(query.data, handler, signal), signal);
    await exchange.close(signal);
  } catch (error) {
    exchange.abort(error);
  }
}

async function answerOrFailure(
  query: RoutingQuery | CatalogQuery,
  handler: RoutingHandler,
  signal: AbortSignal,
): Promise<RoutingSnapshot | CatalogAnswer | { readonly failure: WireFailure }> {
  try {
    return query.kind === 'catalog'
      ? await handler.catalog(query, signal)
      : await handler.snapshot(query, signal);
  } catch (error) {
    return { failure: failureFromError(error) };
  }
}
