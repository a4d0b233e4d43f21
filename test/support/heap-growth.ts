import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often new objects are collected. */
const COLLECTIONS = 32;

/**
 * Bytes by which the heap has grown after so many turns, with collections of new objects only: what lets go of its requests grows
 * by little, what holds one old object that points to the next keeps them all.
 */
export async function grownBytes(
  turns: number,
  turn: (index: number) => Promise<unknown> | undefined,
): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void;
  collect();
  const before = getHeapStatistics().used_heap_size;
  for (let index = 1; index <= turns; index += 1) {
    await turn(index);
    if (index % Math.ceil(turns / COLLECTIONS) === 0) collect({ type: 'minor' });
  }
  collect({ type: 'minor' });
  return getHeapStatistics().used_heap_size - before;
}
