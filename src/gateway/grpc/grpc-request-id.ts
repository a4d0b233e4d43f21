import { Metadata } from '@grpc/grpc-js';
import { REQUEST_ID_HEADER, requestIdOf } from '../request-id.ts';

/** Answers a call with its request id, before anything else that it is answered with; the id is the caller's own where it gave one. */
export function answerRequestId(call: {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}): string {
  const requestId = requestIdOf(call.metadata.get(REQUEST_ID_HEADER)[0]);
  const answered = new Metadata();
  answered.set(REQUEST_ID_HEADER, requestId);
  call.sendMetadata(answered);
  return requestId;
}
