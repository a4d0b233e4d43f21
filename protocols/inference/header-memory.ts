import type { ByteReader } from '../codec/byte-reader.ts';
import type { TensorDescriptor, VersionCid } from '../types.ts';
import { readDescriptors } from './descriptor.ts';

/** Bytes of descriptors that are kept; those of nearly every model have a tenth of it. */
const MAX_KEPT_BYTES = 1024;

/**
 * What the last header of a stream said, which the next mostly says again: where its bytes are the same it is not read anew.
 * What it gives is shared by all of those headers, so it is frozen.
 */
export class HeaderMemory {
  #versionBytes: Uint8Array = new Uint8Array();
  #version = '' as VersionCid;
  #descriptorBytes: Uint8Array = new Uint8Array();
  #descriptors: readonly TensorDescriptor[] = [];

  /** @throws {ERR_INVALID_MESSAGE} when it is longer than `maxBytes` or cut off. */
  version(reader: ByteReader, maxBytes: number): VersionCid {
    if (this.#versionBytes.byteLength > 0 && reader.skip(this.#versionBytes)) return this.#version;
    const start = reader.offset;
    this.#version = reader.text('version', maxBytes) as VersionCid;
    this.#versionBytes = reader.readSince(start);
    return this.#version;
  }

  /** @throws {ERR_INVALID_MESSAGE} as {@link readDescriptors}. */
  descriptors(reader: ByteReader): readonly TensorDescriptor[] {
    if (this.#descriptorBytes.byteLength > 0 && reader.skip(this.#descriptorBytes)) {
      return this.#descriptors;
    }
    const start = reader.offset;
    const descriptors = readDescriptors(reader);
    if (reader.offset - start > MAX_KEPT_BYTES) return descriptors;
    for (const descriptor of descriptors) Object.freeze(Object.freeze(descriptor).shape);
    this.#descriptors = Object.freeze(descriptors);
    this.#descriptorBytes = reader.readSince(start);
    return this.#descriptors;
  }
}
