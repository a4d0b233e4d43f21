import { FRAME } from '../../protocols/inference/frame-type.ts';
import { encodeResponse, type ResponseHeader } from '../../protocols/inference/message.ts';
import type { TensorDescriptor } from '../../protocols/types.ts';
import { RawPeer } from './raw-peer.ts';
import { IDLE } from './announced-peer.ts';
import type { Serve } from './stand-in-nodes.ts';

/** A node that is alive and says so, and does with each request what a test says. */
export function hostileNode(
  act: (peer: RawPeer, id: number) => void,
): Serve & { readonly asked: { count: number } } {
  const asked = { count: 0 };
  const serve: Serve = (stream) => {
    const peer = new RawPeer(stream, {
      framed: true,
      onFrame: ({ type, id }) => {
        if (type === FRAME.ping) peer.frame(FRAME.pong, 0);
        if (type !== FRAME.request) return;
        asked.count += 1;
        act(peer, id);
      },
    });
  };
  return Object.assign(serve, { asked });
}

/** One output `x FP32` of this shape, said to have so many bytes. */
export function outputOf(shape: readonly number[], byteLength: number): TensorDescriptor {
  return { name: 'x', datatype: 'FP32', shape, byteLength };
}

/** The header of an answer with these outputs. */
export function responseHeader(
  outputs: readonly TensorDescriptor[],
  changes: Partial<ResponseHeader> = {},
): Uint8Array {
  return encodeResponse({
    ...{ load: IDLE, queueMs: 0, executeMs: 0, releaseSequence: 0 },
    ...changes,
    outputs,
  });
}
