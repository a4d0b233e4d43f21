export type { BlockSource } from './block-source.ts';
export { TransferConnection, type TransferConnectionInit } from './connection.ts';
export { handleTransfer, type TransferHandlerInit } from './handler.ts';
export { MAX_BLOCK_BYTES, MAX_PIECE_BYTES, MAX_WANTS, TRANSFER_VERSION } from './message.ts';
export { UploadSlots } from './upload-slots.ts';
