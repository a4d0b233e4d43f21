import { statfs } from 'node:fs/promises';
import { formatBytes } from '../../protocols/byte-size.ts';
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
  /** Bytes that the versions in the store take. */
  readonly usedBytes: number;
  /** Bytes that they may take; null when only the disk bounds them. */
  readonly quotaBytes: number | null;
}

/** Bytes that must go before the version fits; 0 when it does. */
export function lackingBytes(room: DiskRoom): number {
  return Math.max(0, room.neededBytes - usableBytes(room));
}

/**
 * Refuses a version before its first byte is fetched when the disk, or the store's quota, cannot hold it.
 *
 * @throws {ERR_STORE} with the numbers, also in `details`.
 */
export function checkDiskRoom(what: string, room: DiskRoom): void {
  if (lackingBytes(room) === 0) return;
  const { neededBytes, promisedBytes, freeBytes, usedBytes, quotaBytes } = room;
  const usable = usableBytes(room);
  const disk = `${formatBytes(freeBytes)} free, ${formatBytes(promisedBytes)} promised to other versions, ${formatBytes(RESERVED_DISK_BYTES)} kept for the system`;
  const quota =
    quotaBytes === null
      ? ''
      : `; ${formatBytes(usedBytes)} used of a quota of ${formatBytes(quotaBytes)}`;
  throw new StoreError(
    `${what} needs ${formatBytes(neededBytes)} of disk, found ${formatBytes(usable)} (${disk}${quota})`,
    { details: { ...room, usableBytes: usable, reservedBytes: RESERVED_DISK_BYTES } },
  );
}

/** Bytes that this user may still write to the disk that holds a folder. */
export async function freeDiskBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Bytes that versions may still take of it, but for those promised already. */
export function usableBytes({ freeBytes, promisedBytes, usedBytes, quotaBytes }: DiskRoom): number {
  const ofDisk = freeBytes - RESERVED_DISK_BYTES;
  const ofQuota = quotaBytes === null ? Number.POSITIVE_INFINITY : quotaBytes - usedBytes;
  return Math.max(0, Math.min(ofDisk, ofQuota) - promisedBytes);
}
