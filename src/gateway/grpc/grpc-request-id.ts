import { Metadata } from '@grpc/grpc-js';
import { REQUEST_ID_HEADER, requestIdOf } from '../request-id.ts';

/** The request id of a call: the caller's own where it gave one. */
export function requestIdOfCall({ metadata }: { readonly metadata: Metadata }): string {
  return requestIdOf(metadata.get(REQUEST_ID_HEADER)[0]);
}

/** Answers a call with its request id, before anything else that it is answered with. */
export function sendRequestId(
  call: { sendMetadata(metadata: Metadata): void },
  requestId: string,
): void {
  const answered = new Metadata();
  answered.set(REQUEST_ID_HEADER, requestId);
  call.sendMetadata(answered);
}

/** Both at once; returns the id. */
export function answerRequestId(call: {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}): string {
  const requestId = requestIdOfCall(call);
  sendRequestId(call, requestId);
  return requestId;
}
