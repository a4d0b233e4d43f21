import type { Stream } from '@libp2p/interface';
import { decode, encode } from 'it-length-prefixed';
import type { Uint8ArrayList } from 'uint8arraylist';
import { ConnectionError, InvalidMessageError, isSwarmError } from '../errors.ts';

/** Bytes queued on a stream before its sender waits: two pieces on their way and one being made. */
const HIGH_WATER_BYTES = 512 * 1024;

type Bytes = Uint8Array | Uint8ArrayList;

/**
 * Cuts a byte stream into messages: a varint length, then as many bytes.
 *
 * @throws {ERR_INVALID_MESSAGE} when one is announced longer than `maxBytes`; {ERR_CONNECTION} when the stream breaks.
 */
export async function* readMessages(
  source: AsyncIterable<Bytes>,
  maxBytes: number,
): AsyncGenerator<Uint8ArrayList> {
  try {
    yield* decode(source, { maxDataLength: maxBytes, maxLengthLength: 4 });
  } catch (cause) {
    throw streamFailure(cause, maxBytes);
  }
}

/** One message with its length in front, to be sent in one go. */
export function frameMessage(message: Bytes): Uint8ArrayList {
  return encode.single(message);
}

/**
 * Sends messages as fast as the other side takes them; `limitMs` is how long it may take nothing.
 *
 * @throws {ERR_CONNECTION} when the stream ends, or nothing moves for `limitMs`.
 */
export async function writeMessages(
  stream: Stream,
  messages: AsyncIterable<Bytes>,
  limitMs: number,
): Promise<void> {
  for await (const message of messages) {
    sendMessage(stream, message);
    // `onDrain` resolves at once after its first use (@libp2p/utils 7.4), hence the count and the event.
    while (stream.writeBufferLength > HIGH_WATER_BYTES) await moved(stream, limitMs);
  }
}

/** @throws {ERR_CONNECTION} when the stream takes no more data. */
export function sendMessage(stream: Stream, message: Bytes): void {
  try {
    stream.send(frameMessage(message));
  } catch (cause) {
    throw new ConnectionError('transfer stream is closed', { cause });
  }
}

function moved(stream: Stream, limitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      stream.removeEventListener('drain', onMoved);
      stream.removeEventListener('idle', onMoved);
      stream.removeEventListener('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    // libp2p sends on in a microtask of its own after the event: look at the count only after that.
    const onMoved = (): void => queueMicrotask(() => settle());
    const onClose = (): void => settle(new ConnectionError('transfer stream closed while sending'));
    const timer = setTimeout(() => {
      settle(new ConnectionError(`peer took no data for ${limitMs} ms`));
    }, limitMs);
    stream.addEventListener('drain', onMoved);
    stream.addEventListener('idle', onMoved);
    stream.addEventListener('close', onClose);
    if (stream.writeStatus === 'closed') onClose();
  });
}

function streamFailure(cause: unknown, maxBytes: number): unknown {
  if (isSwarmError(cause)) return cause;
  const name = cause instanceof Error ? cause.name : '';
  if (name.startsWith('InvalidDataLength') || name === 'InvalidMessageLengthError') {
    return new InvalidMessageError(`transfer message is longer than ${maxBytes} bytes`, { cause });
  }
  return new ConnectionError('transfer stream broke off', { cause });
}
