/**
 * Every hard bound on what a peer may make us hold, with its unit and where it bites. docs/limits.md is the same table.
 */

/** Bytes of one frame on any of our streams: a chunk of a tensor plus its header. Read in `codec/frame.ts`. */
export const MAX_FRAME_BYTES = 256 * 1024;

/** Bytes of tensor data in one frame: small enough that a small request never waits long behind a large one. */
export const MAX_DATA_CHUNK_BYTES = 64 * 1024;

/** Bytes of a body that are sent before the receiver grants credit: a refusal then precedes the rest of a larger one. */
export const UNSOLICITED_BODY_BYTES = 64 * 1024;

/** Bytes of all tensors of one request or response; a node may set less. */
export const MAX_BODY_BYTES = 1024 * 1024 * 1024;

/** Default bytes of one request's tensors that a node accepts. Three hundred images of 224 × 224 × 3 FP32. */
export const DEFAULT_MAX_REQUEST_BYTES = 192 * 1024 * 1024;

/** Tensors in one request or response. */
export const MAX_TENSORS = 1024;

/** Dimensions of one tensor; ONNX models in the wild stay under 8. */
export const MAX_RANK = 32;

/** Size of one dimension of a tensor: ONNX Runtime for Node takes no larger one. */
export const MAX_DIMENSION = 4_294_967_295;

/** UTF-8 bytes of a tensor's name. Exporters write paths; the longest seen was 65 536. */
export const MAX_NAME_BYTES = 65_536;

/** Requests one peer may have open on one inference stream. */
export const MAX_REQUESTS_PER_STREAM = 1024;

/** Inference streams that one caller may have open to a node, over all its connections; one is enough. */
export const MAX_STREAMS_PER_CALLER = 16;

/** Requests that one caller may have open at a node, over all its streams. */
export const MAX_REQUESTS_PER_CALLER = 2048;

/** Bytes of one caller's bodies that a node holds without having granted them: those beside a header, and what comes before credit. */
export const MAX_UNASKED_BYTES_PER_CALLER = 64 * 1024 * 1024;

/** The same of all callers together. */
export const MAX_UNASKED_BYTES = 256 * 1024 * 1024;

/** Bytes of answers that a node holds for one caller until it takes them; a single larger one is held too. */
export const MAX_UNTAKEN_BYTES_PER_CALLER = 256 * 1024 * 1024;

/** Bytes a second that one caller may send only to have them refused; past a second's worth it is read no faster. */
export const MAX_REFUSED_BYTES_PER_SECOND = 64 * 1024 * 1024;

/** Bytes beside bodies that wait for a peer that does not read, past which nothing more is read from it. */
export const PAUSE_UNSENT_BYTES = 1024 * 1024;

/** Bytes of an encoded manifest. */
export const MAX_MANIFEST_BYTES = 1024 * 1024;

/** Bytes of an encoded chunk list, a block of its own: 36 000 chunks of one file. */
export const MAX_CHUNK_LIST_BYTES = 2 * 1024 * 1024;

/** Bytes of one chunk of a file. */
export const MAX_CHUNK_BYTES = 2 * 1024 * 1024;

/** Bytes of a signed release record. */
export const MAX_RELEASE_BYTES = 16 * 1024;

/** Bytes of a signed capacity announcement, so that gossip stays light: it has no backpressure. */
export const MAX_ANNOUNCEMENT_BYTES = 2 * 1024;

/** Bytes of a report that a node is gone, which travels on the topics of announcements. */
export const MAX_DEATH_REPORT_BYTES = 256;

/** Bytes of a signed outcome digest, which travels by gossip too. */
export const MAX_OUTCOME_BYTES = 2 * 1024;

/** Bytes of a signed demand digest, which travels by gossip too. */
export const MAX_DEMAND_BYTES = 2 * 1024;

/** Bytes of a signed recruit notice, which every node hears. */
export const MAX_RECRUIT_BYTES = 1024;

/** Bytes of a signed heartbeat of one that has a provision hook. */
export const MAX_PROVISION_BYTES = 512;

/** Bytes of a signed receipt, which comes beside an answer. */
export const MAX_RECEIPT_BYTES = 1024;

/** UTF-8 characters of another peer's text that are kept in an error or a log field. */
export const MAX_REMOTE_TEXT = 512;

/** Milliseconds a peer has to send the rest of a frame it began, and to read something of what waits for it. */
export const FRAME_TIMEOUT_MS = 30_000;

/** Milliseconds over which a rate is measured before it is held against a peer. Used in `pace.ts`. */
export const PACE_WINDOW_MS = 5_000;

/** Bytes a second that a peer must take of what it asked for while others wait for its upload slot: a slow DSL line sends twice as much. */
export const MIN_UPLOAD_BYTES_PER_SECOND = 16 * 1024;

/** Milliseconds in which a body must be here at the rate at which it comes, while others wait for its room. */
export const BODY_PACE_MS = 60_000;
