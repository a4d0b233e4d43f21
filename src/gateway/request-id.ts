import { randomUUID } from 'node:crypto';

/** The header of HTTP, and key of gRPC's metadata, that every answer has. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** A request id that a client may give: what a log line and a header can carry. */
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The caller's own id where it gave one, else a new one. */
export function requestIdOf(given: unknown): string {
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
