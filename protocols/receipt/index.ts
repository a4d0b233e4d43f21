export {
  checkReceipt,
  createReceiptSigner,
  openReceipt,
  type Receipt,
  RECEIPT_NONCE_BYTES,
  type ReceiptClaim,
  type SignedReceipt,
} from './receipt.ts';
export { decodeTensors, digestTensors, encodeTensors } from './tensor-digest.ts';
