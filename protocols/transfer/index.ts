export type { BlockSource } from './block-source.ts';
export { TransferConnection, type TransferConnectionInit } from './connection.ts';
export { handleTransfer, type TransferHandlerInit } from './handler.ts';
export {
  bitBytes,
  hasBit,
  type Holdings,
  MAX_HOLDING_CHUNKS,
  NOTHING,
  setBit,
  WHOLE,
} from './holdings.ts';
export { MAX_BLOCK_BYTES, MAX_PIECE_BYTES, MAX_WANTS, TRANSFER_VERSION } from './message.ts';
export { MIN_RATE_BYTES, RateLimiter } from './rate-limiter.ts';
export { UploadSlots } from './upload-slots.ts';
