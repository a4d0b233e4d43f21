import type { ByteReader } from '../codec/byte-reader.ts';
import type { ByteWriter } from '../codec/byte-writer.ts';
import { datatypeCode, datatypeFromCode, elementBytes } from '../datatype.ts';
import { InvalidInputError, InvalidMessageError, LimitError } from '../errors.ts';
import { MAX_BODY_BYTES, MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from '../limits.ts';
import { quoted } from '../quoted.ts';
import { elementCount, formatShape, type NamedTensor } from '../tensor.ts';
import type { TensorDescriptor } from '../types.ts';

/** What is said of tensors before their bytes. */
export function describeTensors(tensors: readonly NamedTensor[]): TensorDescriptor[] {
  return tensors.map(({ name, tensor: { datatype, shape, bytes } }) => ({
    name,
    datatype,
    shape,
    byteLength: bytes.byteLength,
  }));
}

/** @throws {ERR_LIMIT} when there are more tensors than the other side reads, or one has a longer name. */
export function writeDescriptors(
  writer: ByteWriter,
  descriptors: readonly TensorDescriptor[],
): void {
  writeCount(writer, descriptors.length);
  for (const { name, datatype, shape, byteLength } of descriptors) {
    writeName(writer, name);
    writer.uint8(datatypeCode(datatype));
    writer.uint8(shape.length);
    for (const dimension of shape) writer.varint(dimension);
    writer.varint(byteLength);
  }
}

/** @throws {ERR_LIMIT} when it is more than {@link MAX_TENSORS}: the other side would reset the stream, and all requests on it. */
export function writeCount(writer: ByteWriter, tensors: number): void {
  if (tensors > MAX_TENSORS) {
    throw new LimitError(`there are ${tensors} tensors, expected at most ${MAX_TENSORS}`);
  }
  writer.varint(tensors);
}

/** @throws {ERR_LIMIT} when it is longer than {@link MAX_NAME_BYTES}. */
export function writeName(writer: ByteWriter, name: string): void {
  const byteLength = Buffer.byteLength(name, 'utf8');
  if (byteLength > MAX_NAME_BYTES) {
    throw new LimitError(
      `tensor name ${quoted(name)} has ${byteLength} bytes, expected at most ${MAX_NAME_BYTES}`,
    );
  }
  writer.text(name);
}

/** @throws {ERR_INVALID_MESSAGE} when they are malformed, too many, or of an unknown datatype. */
export function readDescriptors(reader: ByteReader): TensorDescriptor[] {
  const count = reader.varint('number of tensors', MAX_TENSORS);
  const descriptors: TensorDescriptor[] = [];
  while (descriptors.length < count) descriptors.push(readDescriptor(reader));
  return descriptors;
}

function readDescriptor(reader: ByteReader): TensorDescriptor {
  const name = reader.text('name', MAX_NAME_BYTES);
  const code = reader.uint8('datatype');
  const datatype = datatypeFromCode(code);
  if (datatype === undefined) throw new InvalidMessageError(`tensor has datatype code ${code}`);
  const rank = reader.uint8('rank');
  if (rank > MAX_RANK) {
    throw new InvalidMessageError(`tensor has ${rank} dimensions, expected at most ${MAX_RANK}`);
  }
  const shape: number[] = [];
  while (shape.length < rank) shape.push(reader.varint('dimension'));
  const byteLength = reader.varint('byte length');
  return { name, datatype, shape, byteLength };
}

/**
 * The bytes of the body that tensors make up.
 *
 * @throws {ERR_INVALID_INPUT} when a tensor's bytes cannot fill its shape.
 * @throws {ERR_LIMIT} when they are more than {@link MAX_BODY_BYTES}.
 */
export function bodyBytesOf(descriptors: readonly TensorDescriptor[]): number {
  let total = 0;
  for (let index = 0; index < descriptors.length; index += 1) {
    const descriptor = descriptors[index];
    if (descriptor !== undefined) total += tensorBytesOf(descriptor);
  }
  if (total > MAX_BODY_BYTES) {
    throw new LimitError(`tensors have ${total} bytes, expected at most ${MAX_BODY_BYTES}`);
  }
  return total;
}

function tensorBytesOf({ name, datatype, shape, byteLength }: TensorDescriptor): number {
  const size = elementBytes(datatype);
  const elements = elementCount(shape);
  // A BYTES element brings its own length: 4 bytes each at least.
  const leastBytes = elements * (size ?? 4);
  if (size === null ? byteLength >= leastBytes : byteLength === leastBytes) return byteLength;
  throw new InvalidInputError(
    `tensor ${quoted(name)} has ${byteLength} bytes, expected ${size === null ? 'at least ' : ''}${leastBytes} for ${datatype}${formatShape(shape)}`,
  );
}
