import * as dagCbor from '@ipld/dag-cbor';
import { signedBytes } from '../codec/signed-envelope.ts';
import { MAX_ANNOUNCEMENT_BYTES } from '../limits.ts';
import {
  type AnnouncedDevice,
  type AnnouncedVersion,
  type Announcement,
  MAX_ADDRESS_LENGTH,
  MAX_ADDRESSES,
  MAX_ANNOUNCED_VERSIONS,
  MAX_DEVICE_NAME_LENGTH,
  MAX_DEVICE_PROVIDERS,
  MAX_DEVICES,
} from './announcement.ts';

/** Bytes that a page keeps for versions: two with longest names and numbers. */
const VERSION_ROOM_BYTES = 720;

/**
 * Splits what a node tells of itself into announcements that can each be signed, whatever it has to tell.
 *
 * Versions are all told, on as many pages as they need. Of addresses and devices, which every page repeats, the last ones are
 * left out where room is short, after how full and busy devices are; the first address stays longest. With no version there is one page. The pages share the head's
 * sequence: whoever signs them gives each its own.
 */
export function announcementPages(
  head: Omit<Announcement, 'versions'>,
  versions: readonly AnnouncedVersion[],
): Announcement[] {
  const fitted = fitHead(head);
  const pages: Announcement[] = [];
  let page: Announcement = { ...fitted, versions: [] };
  for (const version of versions) {
    const longer = { ...page, versions: [...page.versions, version] };
    const fits =
      longer.versions.length <= MAX_ANNOUNCED_VERSIONS &&
      announcedBytes(longer) <= MAX_ANNOUNCEMENT_BYTES;
    if (!fits) pages.push(page);
    page = fits ? longer : { ...fitted, versions: [version] };
  }
  return [...pages, page];
}

function fitHead(head: Omit<Announcement, 'versions'>): Omit<Announcement, 'versions'> {
  const addresses = head.addresses
    .filter((address) => address.length <= MAX_ADDRESS_LENGTH)
    .slice(0, MAX_ADDRESSES);
  let devices = head.devices.slice(0, MAX_DEVICES).map(fitDevice);
  const maxBytes = MAX_ANNOUNCEMENT_BYTES - VERSION_ROOM_BYTES;
  const bytes = (): number => announcedBytes({ ...head, addresses, devices, versions: [] });
  // That there is a device says more than how busy it was a moment ago.
  if (bytes() > maxBytes) devices = devices.map(withoutFigures);
  while (bytes() > maxBytes && addresses.length + devices.length > 0) {
    if (addresses.length > 1 + devices.length || devices.length === 0) addresses.pop();
    else devices.pop();
  }
  return { ...head, addresses, devices };
}

function fitDevice(device: AnnouncedDevice): AnnouncedDevice {
  return {
    ...device,
    name: device.name.slice(0, MAX_DEVICE_NAME_LENGTH),
    providers: device.providers.slice(0, MAX_DEVICE_PROVIDERS),
  };
}

function withoutFigures({ kind, name, memoryBytes, providers }: AnnouncedDevice): AnnouncedDevice {
  return { kind, name, memoryBytes, providers };
}

function announcedBytes(announcement: Announcement): number {
  return signedBytes(announcement.node, dagCbor.encode(announcement));
}
