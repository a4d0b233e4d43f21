import type { ByteReader } from '../codec/byte-reader.ts';
import { ByteWriter } from '../codec/byte-writer.ts';
import { InvalidMessageError } from '../errors.ts';

/** A field's number and its bytes; undefined leaves it out. */
type ExtensionField = readonly [number: number, bytes: Uint8Array | undefined];

/** Fields by their numbers. */
type Extension = ReadonlyMap<number, Uint8Array>;

const NONE: Extension = new Map();

/**
 * Writes the area where later versions add fields: its length, then of each field its number, its length and its bytes, in the
 * order of the numbers. A program that does not know a field passes it over.
 */
export function writeExtension(writer: ByteWriter, fields: readonly ExtensionField[]): void {
  let area: ByteWriter | undefined;
  for (const [number, bytes] of fields) {
    if (bytes === undefined) continue;
    area ??= new ByteWriter();
    area.varint(number);
    area.varint(bytes.byteLength);
    area.raw(bytes);
  }
  writer.varint(area?.byteLength ?? 0);
  if (area !== undefined) writer.raw(area.bytes);
}

/**
 * Reads that area. What the fields hold is copied: the message's memory is the reader's own.
 *
 * @throws {ERR_INVALID_MESSAGE} when it is no list of fields in the order of their numbers, or longer than the message.
 */
export function readExtension(reader: ByteReader): Extension {
  const byteLength = reader.varint('length of the extension');
  if (byteLength === 0) return NONE;
  if (byteLength > reader.left) reader.take('extension', byteLength);
  const end = reader.left - byteLength;
  const fields = new Map<number, Uint8Array>();
  let last = 0;
  while (reader.left > end) {
    const number = reader.varint('number of an extension field');
    if (number <= last) {
      throw new InvalidMessageError(
        `extension has field ${number} after field ${last}, expected ascending numbers from 1`,
      );
    }
    last = number;
    const length = reader.varint('length of an extension field');
    const left = reader.left - end;
    if (length > left) {
      throw new InvalidMessageError(
        `extension field ${number} has ${length} bytes, expected at most ${Math.max(0, left)}, the rest of the extension`,
      );
    }
    fields.set(number, new Uint8Array(reader.take('extension field', length)));
  }
  return fields;
}
