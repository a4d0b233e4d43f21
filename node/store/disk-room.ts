import { statfs } from 'node:fs/promises';
import { StoreError } from '../../protocols/errors.ts';

/** Bytes of the disk that versions never take: LevelDB, logs and the rest of the machine need to write too. */
export const RESERVED_DISK_BYTES = 64 * 1024 * 1024;

/** What a version needs of a disk, and what there is. */
export interface DiskRoom {
  /** Bytes still to be written for the version. */
  readonly neededBytes: number;
  /** Bytes still to be written for the versions that are being fetched already. */
  readonly promisedBytes: number;
  /** Bytes that this user may still write to the disk. */
  readonly freeBytes: number;
}

/**
 * Refuses a version before its first byte is fetched when the disk cannot hold it.
 *
 * @throws {ERR_STORE} with the numbers, also in `details`.
 */
export function checkDiskRoom(what: string, room: DiskRoom): void {
  const { neededBytes, promisedBytes, freeBytes } = room;
  const usableBytes = Math.max(0, freeBytes - promisedBytes - RESERVED_DISK_BYTES);
  if (neededBytes <= usableBytes) return;
  throw new StoreError(
    `${what} needs ${neededBytes} bytes of disk, found ${usableBytes} (${freeBytes} free, ${promisedBytes} promised to other versions, ${RESERVED_DISK_BYTES} kept for the system)`,
    { details: { ...room, usableBytes, reservedBytes: RESERVED_DISK_BYTES } },
  );
}

/** Bytes that this user may still write to the disk that holds a folder. */
export async function freeDiskBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
