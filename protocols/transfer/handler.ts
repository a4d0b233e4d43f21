import type { Stream } from '@libp2p/interface';
import { pipe } from 'it-pipe';
import type { Uint8ArrayList } from 'uint8arraylist';
import { BlockServer } from './block-server.ts';
import type { BlockSource } from './block-source.ts';
import { decodeRequest, MAX_REQUEST_MESSAGE_BYTES, type TransferRequest } from './message.ts';
import { readMessages, writeMessages } from './message-stream.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { UploadSlots } from './upload-slots.ts';

/** Milliseconds without any request, nothing being sent, until a stream is reset. */
const DEFAULT_IDLE_TIMEOUT_MS = 60_000;

/** Milliseconds a peer may take nothing of what it asked for. */
const DEFAULT_SEND_TIMEOUT_MS = 30_000;

/** Blocks read and sent at once by one process: 64 MiB at most. */
const DEFAULT_UPLOAD_SLOTS = 32;

/** Of these, what one peer holds at most: it takes eight that take nothing to hold up the others, and those for 5 s. */
const DEFAULT_SLOTS_PER_PEER = 4;

const CLOSE_TIMEOUT_MS = 5_000;

export interface TransferHandlerInit {
  /** Who asks: slots and bandwidth are shared out by peer. @default 'a peer' */
  readonly peer?: string | undefined;
  /** Shared by all streams that the limit is for. @default as fast as it goes */
  readonly limit?: RateLimiter | undefined;
  /** Shared by all streams of one node. @default a set for the whole process */
  readonly slots?: UploadSlots | undefined;
  /** @default 60000 */
  readonly idleTimeoutMs?: number | undefined;
  /** @default 30000 */
  readonly sendTimeoutMs?: number | undefined;
  /** Hears why a stream was reset. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

const processSlots = new UploadSlots(DEFAULT_UPLOAD_SLOTS, DEFAULT_SLOTS_PER_PEER);

/**
 * Serves blocks on one inbound stream until the peer closes it. Resolves when the stream has ended, and never rejects: a
 * peer that breaks the protocol, goes silent or takes nothing gets its stream reset.
 */
export async function handleTransfer(
  stream: Stream,
  source: BlockSource,
  init: TransferHandlerInit = {},
): Promise<void> {
  const { idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS, sendTimeoutMs = DEFAULT_SEND_TIMEOUT_MS } = init;
  const { peer = 'a peer', limit, slots = processSlots } = init;
  const unsentBytes = (): number => stream.writeBufferLength;
  const server = new BlockServer(source, { peer, slots, limit, idleTimeoutMs, unsentBytes });
  try {
    await pipe(
      stream,
      (bytes) => readMessages(bytes, MAX_REQUEST_MESSAGE_BYTES),
      decodeRequests,
      (requests) => server.serve(requests),
      (answers) => writeMessages(stream, answers, sendTimeoutMs),
    );
    await stream.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) });
  } catch (error) {
    init.onFailure?.(error);
    stream.abort(error instanceof Error ? error : new Error(String(error)));
  }
}

async function* decodeRequests(
  messages: AsyncIterable<Uint8ArrayList>,
): AsyncGenerator<TransferRequest> {
  for await (const message of messages) yield decodeRequest(message);
}
