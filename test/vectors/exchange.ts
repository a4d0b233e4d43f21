/** Bytes on the stream, the length before the dag-cbor included. Every byte is written by hand from the page of the protocol. */
export interface ExchangeVector<Message> {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly message: Message;
  /** Bytes that this version reads and does not write. */
  readonly readOnly?: true;
}

/** Bytes that reset the stream. */
export interface BrokenVector {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A failure in hexadecimal, as every exchange of dag-cbor messages writes it; each argument is the CBOR of one field. */
export function failureMap(status: string, afterMs: string, message: string): string {
  return [
    'a1', // a map of one
    '67 6661696c757265', // 'failure'
    'a3', // a map of three; shorter keys come first
    '66 737461747573', // 'status'
    status,
    '67 61667465724d73', // 'afterMs'
    afterMs,
    '67 6d657373616765', // 'message'
    message,
  ].join(' ');
}
