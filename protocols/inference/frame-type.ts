/** Version of the exchange in its protocol id. */
export const INFERENCE_VERSION = '1.0.0';

/** Types of the frames on an inference stream; the frame's id is that of the request it belongs to. */
export const FRAME = {
  /** Client to node: header, then the body when it is small. Opens the id. */
  request: 1,
  /** Either way: the next bytes of a body that did not fit beside its header. */
  data: 2,
  /** Either way: how many further bytes of the body with this id may come. */
  credit: 3,
  /** Client to node: the answer is not wanted any more. Closes the id. */
  cancel: 4,
  /** Node to client: header, then the body when it is small. Closes the id once the body is complete. */
  response: 5,
  /** Node to client: why there is no answer. Closes the id. */
  failure: 6,
  /** Client to node, id 0: are you there? */
  ping: 7,
  /** Node to client, id 0: I am. */
  pong: 8,
} as const;
