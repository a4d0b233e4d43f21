/**
 * What to do with one field of a message while it is walked. `T` is what the message is collected into.
 *
 * A field that comes with another wire type than its rule expects counts as unknown, as in every protobuf parser.
 */
export type FieldRule<T> = IntegerRule<T> | TextRule<T> | SpanRule<T> | MessageRule<T>;

/** A varint, repeated and packed ones too. Past 2^53 the value is rounded. */
export interface IntegerRule<T> {
  readonly kind: 'integer';
  readonly take: (target: T, value: number) => void;
}

/** UTF-8 text, kept in memory; wrong bytes become U+FFFD. */
export interface TextRule<T> {
  readonly kind: 'text';
  readonly maxBytes: number;
  /** What becomes of longer text: the file is refused, or the field is passed over. */
  readonly oversize: 'refuse' | 'skip';
  readonly take: (target: T, value: string) => void;
}

/** Bytes that are not read: only where they lie in the file. Fixed-width and varint fields count too. */
export interface SpanRule<T> {
  readonly kind: 'span';
  readonly take: (target: T, offset: number, length: number) => void;
}

/** A message within the message. */
export interface MessageRule<T> {
  readonly kind: 'message';
  /** A thunk, because messages of ONNX contain each other. */
  readonly schema: () => MessageSchema<unknown>;
  /** What the inner message is collected into. */
  readonly open: (target: T) => unknown;
  readonly close: (target: T, inner: unknown) => void;
}

/** Rules by field number; a hole is an unknown field, passed over. */
export type MessageSchema<T> = readonly (FieldRule<T> | undefined)[];

export function messageSchema<T>(rules: Readonly<Record<number, FieldRule<T>>>): MessageSchema<T> {
  const schema: (FieldRule<T> | undefined)[] = [];
  for (const [number, rule] of Object.entries(rules)) {
    schema[Number(number)] = rule;
  }
  return Array.from(schema);
}

export function integer<T>(take: (target: T, value: number) => void): FieldRule<T> {
  return { kind: 'integer', take };
}

export function text<T>(
  maxBytes: number,
  take: (target: T, value: string) => void,
  oversize: 'refuse' | 'skip' = 'refuse',
): FieldRule<T> {
  return { kind: 'text', maxBytes, oversize, take };
}

export function span<T>(take: (target: T, offset: number, length: number) => void): FieldRule<T> {
  return { kind: 'span', take };
}

/** `open` makes what the inner message is collected into, `close` is told when it is complete. */
export function message<T, U>(
  schema: () => MessageSchema<U>,
  open: (target: T) => U,
  close?: (target: T, inner: U) => void,
): FieldRule<T> {
  // The walker hands to `close` and to the schema's rules what `open` returned, so U is known to agree.
  return {
    kind: 'message',
    schema: schema as () => MessageSchema<unknown>,
    open,
    close: (target, inner) => close?.(target, inner as U),
  };
}
