import { Pace } from '../../protocols/pace.ts';
import type { SlotHolder } from '../../protocols/transfer/upload-slots.ts';

export interface TestHolder extends SlotHolder {
  /** What it has moved, as a test says. */
  moved: number;
  /** The rates it was told to be too low. */
  readonly told: number[];
}

/** A stream that holds upload slots, in which it is always the peer that is waited for. */
export function slotHolder(peer: string, minBytesPerSecond = 1_000): TestHolder {
  const pace = new Pace({ minBytesPerSecond });
  pace.wait(performance.now());
  const told: number[] = [];
  return {
    peer,
    pace,
    told,
    moved: 0,
    movedBytes() {
      return this.moved;
    },
    tooSlow: (rate) => void told.push(rate),
  };
}
