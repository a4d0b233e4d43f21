import type { Stream } from '@libp2p/interface';
import { vi } from 'vitest';
import { encodeFrameHeader, type Frame, FrameDecoder } from '../../protocols/codec/frame.ts';

const WAIT = { interval: 2, timeout: 5_000 };

/** The other end of a stream, which says what a test tells it to, right or wrong. */
export class RawPeer {
  readonly stream: Stream;
  /** What came, one after the other. */
  readonly frames: Frame[] = [];
  readonly #chunks: Uint8Array[] = [];
  readonly #decoder = new FrameDecoder(({ type, id, payload }) => {
    const frame = { type, id, payload: payload.slice() };
    this.frames.push(frame);
    this.#onFrame?.(frame);
  });
  readonly #onFrame: ((frame: Frame) => void) | undefined;

  constructor(
    stream: Stream,
    options: { readonly framed: boolean; readonly onFrame?: (frame: Frame) => void } = {
      framed: true,
    },
  ) {
    this.stream = stream;
    this.#onFrame = options.onFrame;
    stream.addEventListener('message', ({ data }) => {
      const bytes = data.subarray();
      this.#chunks.push(bytes);
      if (options.framed) this.#decoder.push(bytes);
    });
  }

  get received(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  /** False when no more should be sent before what was sent is taken. */
  send(...parts: readonly Uint8Array[]): boolean {
    return this.stream.send(Buffer.concat(parts));
  }

  frame(type: number, id: number, ...payload: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(payload);
    return this.send(encodeFrameHeader(type, id, bytes.byteLength), bytes);
  }

  /** The first frame of a type, once it came. */
  async heard(type: number, id?: number): Promise<Frame> {
    return vi.waitFor(() => {
      const found = this.frames.find(
        (frame) => frame.type === type && frame.id === (id ?? frame.id),
      );
      if (found === undefined) throw new Error(`no frame of type ${type}: ${this.#summary()}`);
      return found;
    }, WAIT);
  }

  async bytesHeard(count: number): Promise<Uint8Array> {
    return vi.waitFor(() => {
      const bytes = this.received;
      if (bytes.byteLength < count) throw new Error(`${bytes.byteLength} of ${count} bytes came`);
      return bytes;
    }, WAIT);
  }

  /** Resolves once the other end has reset the stream. */
  async reset(): Promise<void> {
    await vi.waitFor(() => {
      if (this.stream.status !== 'reset') throw new Error(`stream is ${this.stream.status}`);
    }, WAIT);
  }

  #summary(): string {
    return this.frames.map(({ type, id }) => `${type}/${id}`).join(' ') || 'none at all';
  }
}
