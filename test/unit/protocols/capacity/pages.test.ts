import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnnouncedVersion,
  type Announcement,
  announcementPages,
  signAnnouncement,
} from '../../../../protocols/capacity/index.ts';
import { MAX_ANNOUNCEMENT_BYTES } from '../../../../protocols/limits.ts';
import { announcement, nodeKey, VERSION } from '../../../vectors/capacity.ts';

const { versions: _versions, ...head } = announcement;

const longest: AnnouncedVersion = {
  ...VERSION,
  name: 'n'.repeat(64),
  state: 'quarantined',
  etaMs: Number.MAX_SAFE_INTEGER,
  note: '入'.repeat(100),
  load: {
    inFlight: Number.MAX_SAFE_INTEGER,
    queued: Number.MAX_SAFE_INTEGER,
    slots: Number.MAX_SAFE_INTEGER,
    serviceMs: 1 / 3,
  },
};

const heaviest: Omit<Announcement, 'versions'> = {
  ...head,
  zone: '入'.repeat(64),
  agent: '入'.repeat(64),
  addresses: Array.from({ length: 20 }, (_, index) => `/dns4/${`${index}`.padEnd(240, 'x')}/tcp/1`),
  devices: Array.from({ length: 40 }, () => ({
    kind: 'gpu',
    name: '入'.repeat(200),
    memoryBytes: Number.MAX_SAFE_INTEGER,
    providers: Array.from({ length: 20 }, () => 'p'.repeat(32)),
    freeBytes: Number.MAX_SAFE_INTEGER,
    busyPercent: 100,
  })),
  memoryTotalBytes: Number.MAX_SAFE_INTEGER,
  memoryFreeBytes: Number.MAX_SAFE_INTEGER,
};

describe('announcementPages', () => {
  it('puts four versions of usual size on one page and leaves nothing out', () => {
    const versions = Array.from({ length: 4 }, () => VERSION);
    expect(announcementPages(head, versions)).toEqual([{ ...head, versions }]);
  });

  it('begins a further page for a fifth version', () => {
    const pages = announcementPages(
      head,
      Array.from({ length: 9 }, () => VERSION),
    );
    expect(pages.map(({ versions }) => versions.length)).toEqual([4, 4, 1]);
  });

  it('has one page when there is no version', () => {
    expect(announcementPages(head, [])).toEqual([{ ...head, versions: [] }]);
  });

  it('tells how full and busy devices are where there is room, and rather all devices where there is none', () => {
    const device = { kind: 'gpu', memoryBytes: 80e9, providers: ['cuda'] } as const;
    const devices = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        ...device,
        name: `NVIDIA H100 80GB HBM3 ${index}`,
        freeBytes: 79e9,
        busyPercent: 50,
      }));
    const told = (count: number) =>
      announcementPages({ ...head, devices: devices(count) }, [VERSION])[0]?.devices ?? [];
    expect(told(2)).toEqual(devices(2));
    expect(told(7)).toHaveLength(7);
    expect(told(7)[0]).toEqual({ ...device, name: 'NVIDIA H100 80GB HBM3 0' });
  });

  it('can be signed with the most and the longest of everything, and tells every version', async () => {
    const versions = Array.from({ length: 9 }, (_, index) => ({
      ...longest,
      name: `${index}`.padEnd(64, 'n'),
    }));
    const pages = announcementPages(heaviest, versions);
    for (const page of pages) {
      const bytes = await signAnnouncement(page, nodeKey);
      expect(bytes.byteLength).toBeLessThanOrEqual(MAX_ANNOUNCEMENT_BYTES);
      expect(page.versions.length).toBeGreaterThan(0);
    }
    expect(pages.flatMap((page) => page.versions)).toEqual(versions);
  });

  it('keeps the first addresses and devices where room is short', () => {
    const addresses = heaviest.addresses.slice(0, 8);
    const devices = Array.from({ length: 16 }, (_, index) => ({
      kind: 'gpu' as const,
      name: `GPU ${index}`,
      memoryBytes: 8e9,
      providers: ['cuda'],
    }));
    const [page] = announcementPages({ ...head, addresses, devices }, [VERSION]);
    expect(page?.addresses.length).toBeGreaterThan(0);
    expect(page?.addresses).toEqual(addresses.slice(0, page?.addresses.length));
    expect(page?.devices).toEqual(devices.slice(0, page?.devices.length));
  });

  it('tells all of eight equal GPUs and three addresses', () => {
    const devices = Array.from({ length: 8 }, () => ({
      kind: 'gpu' as const,
      name: 'NVIDIA H100 80GB HBM3',
      memoryBytes: 85_899_345_920,
      providers: ['cuda'],
    }));
    const addresses = Array.from({ length: 3 }, (_, index) => `/ip4/192.0.2.${index}/tcp/4001`);
    const [page] = announcementPages({ ...head, devices, addresses }, [VERSION]);
    expect(page?.devices).toEqual(devices);
    expect(page?.addresses).toEqual(addresses);
  });

  it('gives pages that can be signed whatever a node has to tell', async () => {
    const text = (max: number) => fc.string({ maxLength: max, unit: 'grapheme' });
    const heads = fc.record({
      zone: fc.string({ maxLength: 64 }),
      agent: fc.string({ maxLength: 64 }),
      addresses: fc.array(
        fc.integer({ min: 1, max: 400 }).map((length) => `/dns4/${'x'.repeat(length)}`),
        { maxLength: 12 },
      ),
      devices: fc.array(
        fc.record({
          kind: fc.constantFrom('gpu' as const, 'cpu' as const),
          name: text(300),
          memoryBytes: fc.option(fc.maxSafeNat()),
          providers: fc.array(fc.string({ maxLength: 32 }), { maxLength: 12 }),
        }),
        { maxLength: 20 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(
        heads,
        fc.array(fc.constantFrom(VERSION, longest)),
        async (over, versions) => {
          const pages = announcementPages({ ...head, ...over }, versions);
          for (const page of pages) await signAnnouncement(page, nodeKey);
          expect(pages.flatMap((page) => page.versions)).toEqual(versions);
        },
      ),
      { numRuns: 60 },
    );
  });
});
