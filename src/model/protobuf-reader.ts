import { InvalidModelError } from '../../protocols/errors.ts';
import type { ByteSource } from './byte-source.ts';
import type { FieldRule, MessageRule, MessageSchema, TextRule } from './protobuf-schema.ts';

/** Messages within messages. Protobuf's own parsers stop at 100; a little more, so that the scan can say it better. */
const MAX_DEPTH = 128;

/** Bytes of the largest tag plus the largest length or value: what must be in the window before a field is read. */
const MAX_HEADER_BYTES = 20;

/** Bytes of packed integers in one field: the dimensions of a tensor, of which protocols allow few. */
const MAX_PACKED_BYTES = 64 * 1024;

/** Bytes of the first read after a jump; doubled while the reading is sequential. */
const MIN_WINDOW_BYTES = 64 * 1024;

/** Bytes of one read at most: also the longest stretch that is walked before other work on this thread goes on. */
const MAX_WINDOW_BYTES = 1024 * 1024;

export interface WalkOptions {
  /** What errors call the file. */
  readonly fileName: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Walks one protobuf message that fills the source, and collects what `schema` names into `target`. Everything else is
 * passed over without being read, so that gigabytes of weights cost nothing and memory stays within one window.
 *
 * @throws {ERR_INVALID_MODEL} when the bytes are not protobuf, are cut short, or nest too deep
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export async function walkMessage<T>(
  source: ByteSource,
  schema: MessageSchema<T>,
  target: T,
  options: WalkOptions,
): Promise<void> {
  const walker = new MessageWalker(source.size, options.fileName);
  walker.open(schema as MessageSchema<unknown>, target);
  let windowBytes = MIN_WINDOW_BYTES;
  for (;;) {
    options.signal?.throwIfAborted();
    const missing = walker.run();
    if (missing === undefined) {
      return;
    }
    windowBytes = missing.sequential
      ? Math.min(windowBytes * 2, MAX_WINDOW_BYTES)
      : MIN_WINDOW_BYTES;
    const length = Math.min(Math.max(windowBytes, missing.length), source.size - missing.offset);
    walker.supply(missing.offset, await source.read(missing.offset, length));
  }
}

interface MissingBytes {
  readonly offset: number;
  readonly length: number;
  /** Whether they follow what was read last. */
  readonly sequential: boolean;
}

interface Frame {
  readonly schema: MessageSchema<unknown>;
  readonly target: unknown;
  readonly end: number;
  /** How this message came into the one around it; undefined for the outermost. */
  readonly rule: MessageRule<unknown> | undefined;
}

/** The walk as a state that can stop for bytes at any field: one loop serves memory and disk alike. */
class MessageWalker {
  readonly #fileName: string;
  readonly #fileBytes: number;
  readonly #frames: Frame[] = [];
  #window: Buffer = Buffer.alloc(0);
  #windowOffset = 0;
  /** Where the walk is, in bytes of the file. */
  #position = 0;
  /** Where the walk is, in bytes of the window; runs ahead of `#position` within a field. */
  #cursor = 0;

  constructor(fileBytes: number, fileName: string) {
    this.#fileBytes = fileBytes;
    this.#fileName = fileName;
  }

  open(schema: MessageSchema<unknown>, target: unknown): void {
    this.#frames.push({ schema, target, end: this.#fileBytes, rule: undefined });
  }

  supply(offset: number, bytes: Uint8Array): void {
    this.#window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#windowOffset = offset;
  }

  /** Walks until the message ends (undefined) or bytes are missing. */
  run(): MissingBytes | undefined {
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) {
        return undefined;
      }
      if (this.#position >= frame.end) {
        this.#close(frame);
        continue;
      }
      const missing =
        this.#missing(Math.min(MAX_HEADER_BYTES, frame.end - this.#position)) ?? this.#field(frame);
      if (missing !== undefined) {
        return missing;
      }
    }
  }

  #close(frame: Frame): void {
    this.#frames.pop();
    const outer = this.#frames.at(-1);
    if (outer !== undefined) {
      frame.rule?.close(outer.target, frame.target);
    }
  }

  /** Reads one field. On missing bytes nothing has happened yet: the field is read again from its tag. */
  #field(frame: Frame): MissingBytes | undefined {
    const start = this.#position;
    this.#cursor = start - this.#windowOffset;
    const tag = this.#varint(frame);
    const wireType = tag % 8;
    const number = (tag - wireType) / 8;
    if (number < 1 || tag > 0xffff_ffff) {
      throw this.#malformed(`byte ${start} holds no field number`);
    }
    const rule = frame.schema[number];
    switch (wireType) {
      case 0: {
        const value = this.#varint(frame);
        if (rule?.kind === 'integer') {
          rule.take(frame.target, value);
        }
        break;
      }
      case 1:
        this.#cursor += 8;
        break;
      case 2:
        return this.#delimited(frame, rule);
      case 5:
        this.#cursor += 4;
        break;
      default:
        throw this.#malformed(`byte ${start} holds wire type ${wireType}, expected 0, 1, 2 or 5`);
    }
    const end = this.#windowOffset + this.#cursor;
    if (end > frame.end) {
      throw this.#overrun(frame, start, end - frame.end);
    }
    if (rule?.kind === 'span') {
      rule.take(frame.target, start, end - start);
    }
    this.#position = end;
    return undefined;
  }

  #delimited(frame: Frame, rule: FieldRule<unknown> | undefined): MissingBytes | undefined {
    const fieldStart = this.#position;
    const length = this.#varint(frame);
    const start = this.#windowOffset + this.#cursor;
    // As a signed number a length from 2^63 on is negative: the walk would go back, and on for ever.
    if (length < 0) {
      throw this.#malformed(`the field at byte ${fieldStart} is longer than 2^63 bytes`);
    }
    if (length > frame.end - start) {
      throw this.#overrun(frame, fieldStart, length - (frame.end - start));
    }
    switch (rule?.kind) {
      case 'message':
        return this.#enter(frame, rule, start + length);
      case 'span':
        rule.take(frame.target, start, length);
        break;
      case 'text': {
        const missing = this.#text(frame, rule, length);
        if (missing !== undefined) {
          return missing;
        }
        break;
      }
      case 'integer': {
        if (length > MAX_PACKED_BYTES) {
          throw this.#malformed(
            `${length} bytes of integers at byte ${fieldStart}, expected at most ${MAX_PACKED_BYTES}`,
          );
        }
        const missing = this.#missing(start + length - fieldStart);
        if (missing !== undefined) {
          return missing;
        }
        const last = this.#cursor + length;
        while (this.#cursor < last) {
          rule.take(frame.target, this.#varint(frame));
        }
        break;
      }
      default:
    }
    this.#position = start + length;
    return undefined;
  }

  #enter(frame: Frame, rule: MessageRule<unknown>, end: number): undefined {
    if (this.#frames.length >= MAX_DEPTH) {
      throw this.#malformed(
        `messages nest deeper than ${MAX_DEPTH} levels at byte ${this.#position}`,
      );
    }
    this.#position = this.#windowOffset + this.#cursor;
    this.#frames.push({ schema: rule.schema(), target: rule.open(frame.target), end, rule });
  }

  #text(frame: Frame, rule: TextRule<unknown>, length: number): MissingBytes | undefined {
    if (length > rule.maxBytes) {
      if (rule.oversize === 'skip') {
        return undefined;
      }
      throw this.#malformed(
        `${length} bytes of text at byte ${this.#position}, expected at most ${rule.maxBytes}`,
      );
    }
    const headerBytes = this.#windowOffset + this.#cursor - this.#position;
    const missing = this.#missing(headerBytes + length);
    if (missing === undefined) {
      rule.take(frame.target, this.#window.toString('utf8', this.#cursor, this.#cursor + length));
    }
    return missing;
  }

  /** Undefined when the window holds `length` bytes from the position on. */
  #missing(length: number): MissingBytes | undefined {
    const windowEnd = this.#windowOffset + this.#window.length;
    if (this.#position >= this.#windowOffset && this.#position + length <= windowEnd) {
      return undefined;
    }
    return { offset: this.#position, length, sequential: this.#position <= windowEnd };
  }

  #varint(frame: Frame): number {
    const first = this.#window[this.#cursor];
    if (first !== undefined && first < 0x80) {
      this.#cursor += 1;
      return first;
    }
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index += 1) {
      const byte = this.#window[this.#cursor];
      if (byte === undefined || this.#windowOffset + this.#cursor >= frame.end) {
        throw this.#overrun(frame, this.#position, 1);
      }
      this.#cursor += 1;
      // Two halves of seven bits times four and times six: each stays an exact integer, as 64 bits would not.
      if (index < 4) {
        low += (byte & 0x7f) * 2 ** (7 * index);
      } else {
        high += (byte & 0x7f) * 2 ** (7 * (index - 4));
      }
      if (byte < 0x80) {
        // The tenth byte carries bit 63: two's complement of a negative int64.
        const signed = index === 9 && (byte & 1) === 1 ? (high % 2 ** 36) - 2 ** 36 : high;
        return signed * 2 ** 28 + low;
      }
    }
    throw this.#malformed(`the number at byte ${this.#position} is longer than 10 bytes`);
  }

  #overrun(frame: Frame, start: number, excessBytes: number): InvalidModelError {
    if (frame.end === this.#fileBytes) {
      return this.#malformed(
        `the field at byte ${start} goes ${excessBytes} bytes past the end of the file (${this.#fileBytes} bytes): truncated?`,
      );
    }
    return this.#malformed(
      `the field at byte ${start} goes ${excessBytes} bytes past the end of its message`,
    );
  }

  #malformed(fault: string): InvalidModelError {
    return new InvalidModelError(`${this.#fileName} is not a valid ONNX protobuf: ${fault}`, {
      details: { file: this.#fileName, fileBytes: this.#fileBytes },
    });
  }
}
