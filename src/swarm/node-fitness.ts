import type { Announcement } from '../../protocols/capacity/index.ts';
import type { ScalingNode } from '../policy/scaling/scaling-view.ts';

/** What a node announces of whether it could hold one version more. */
export function fitnessOf({
  state,
  cordoned,
  leaving,
  devices,
  roomBytes,
  diskFreeBytes,
}: Announcement): Pick<
  ScalingNode,
  'accepting' | 'memoryFreeBytes' | 'providers' | 'diskFreeBytes'
> {
  return {
    accepting: state === 'serving' && cordoned !== true && leaving !== true,
    memoryFreeBytes: roomBytes ?? null,
    providers: [...new Set(devices.flatMap(({ providers }) => providers))],
    diskFreeBytes: diskFreeBytes ?? null,
  };
}

/** Whether what a node has in memory will stay: one that drains, rests or leaves is soon gone. */
export function isStaying({ state, leaving }: Announcement): boolean {
  return state === 'serving' && leaving !== true;
}
