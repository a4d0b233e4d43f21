import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { REQUEST_ID_HEADER, requestIdOf } from '../request-id.ts';

/** Bytes of all headers of a request. */
export const MAX_HEADER_BYTES = 16 * 1024;

/** Milliseconds a client has for its headers, and for the whole of a request: who dribbles holds memory. */
export const HEADERS_TIMEOUT_MS = 15_000;
export const REQUEST_TIMEOUT_MS = 120_000;

/** What Node's HTTP parser found wrong: its code, and its words where it has them. */
interface ParserError extends Error {
  readonly code?: string;
  readonly reason?: string;
}

/**
 * Refuses what is no request and ends its connection. Its path is not known, so the answer is in the form of `/v2`.
 *
 * @see https://nodejs.org/api/http.html#event-clienterror
 */
export function refuseUnread(error: ParserError, socket: Socket): void {
  // Nobody is there to read an answer.
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) socket.write(formatUnread(error));
  socket.destroy(error);
}

/** The whole answer, head and body, as it goes over the wire. */
function formatUnread(error: ParserError): string {
  const [status, message] = unreadFault(error);
  const body = JSON.stringify({ error: message });
  const head = Object.entries({
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    [REQUEST_ID_HEADER]: requestIdOf(undefined),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`;
}

function unreadFault({ code, reason }: ParserError): readonly [status: number, message: string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, `headers have more than ${MAX_HEADER_BYTES} bytes, expected at most that many`];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [
        408,
        `request is not whole, expected its headers within ${HEADERS_TIMEOUT_MS} ms and all of it within ${REQUEST_TIMEOUT_MS} ms`,
      ];
    default:
      return [400, `expected a request of HTTP/1.1${reason ? `: ${reason}` : ''}`];
  }
}
