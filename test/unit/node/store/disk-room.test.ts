import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  checkDiskRoom,
  type DiskRoom,
  freeDiskBytes,
  lackingBytes,
  RESERVED_DISK_BYTES,
} from '../../../../node/store/disk-room.ts';
import { refusal } from '../../../support/refusal.ts';

const room: DiskRoom = {
  neededBytes: 1_000,
  promisedBytes: 500,
  freeBytes: 1_500 + RESERVED_DISK_BYTES,
  usedBytes: 200,
  quotaBytes: null,
};

describe('checkDiskRoom', () => {
  it('takes a version that fills the disk to the reserve, and refuses one byte more with ERR_STORE', () => {
    expect(() => checkDiskRoom('version v', room)).not.toThrow();
    const full = { ...room, neededBytes: 1_001 };
    expect(() => checkDiskRoom('version v', full)).toThrow(
      refusal(
        'ERR_STORE',
        'version v needs 1001 B of disk, found 1000 B (64.0 MiB free, 500 B promised to other versions, 64.0 MiB kept for the system)',
      ),
    );
  });

  it('takes what needs nothing on a disk that has nothing', () => {
    const nothing = { ...room, neededBytes: 0, promisedBytes: 0, freeBytes: 0 };
    expect(() => checkDiskRoom('version v', nothing)).not.toThrow();
    expect(() => checkDiskRoom('version v', { ...nothing, neededBytes: 1 })).toThrow('found 0');
  });

  it('takes a version that fills the quota, and refuses one byte more, told of both bounds', () => {
    const quota = { ...room, freeBytes: 10 * RESERVED_DISK_BYTES, quotaBytes: 1_700 };
    expect(() => checkDiskRoom('version v', quota)).not.toThrow();
    expect(() => checkDiskRoom('version v', { ...quota, neededBytes: 1_001 })).toThrow(
      refusal('ERR_STORE', /found 1000 B .*; 200 B used of a quota of 1.7 KiB\)$/),
    );
  });
});

describe('lackingBytes', () => {
  it('is what must go, of the disk or of the quota, whichever is tighter', () => {
    expect(lackingBytes(room)).toBe(0);
    expect(lackingBytes({ ...room, neededBytes: 1_600 })).toBe(600);
    expect(lackingBytes({ ...room, quotaBytes: 900 })).toBe(800);
  });
});

describe('freeDiskBytes', () => {
  it('measures the disk of a folder, and rejects where there is none', async () => {
    expect(await freeDiskBytes(tmpdir())).toBeGreaterThan(0);
    await expect(freeDiskBytes('/no/such/folder')).rejects.toThrow('ENOENT');
  });
});
