import type { ScalingNode } from './scaling-view.ts';

/** One that waits for a place. */
export interface PlaceCandidate {
  readonly node: ScalingNode;
  /** Among equals the first comes first. */
  readonly index: number;
  /** How far it is from a first place, before any penalty. */
  readonly distance: number;
  /** With the penalty when that was last looked up: never more than it is now. */
  placed: number;
}

/** What makes a node farther once others like it have places; it only ever grows. */
export interface PlacePenalty {
  penaltyOf(node: ScalingNode): number;
}

/**
 * Gives the nearest of those that are left, by distances that grow as places are given away.
 *
 * A binary heap by distances of some time ago. As they only grow, one that is first by its old distance and, looked up anew, still
 * is, is the first of all: most others are never looked up again.
 *
 * @see Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978
 */
export class PlaceLine {
  readonly #heap: PlaceCandidate[];
  readonly #penalty: PlacePenalty;

  constructor(candidates: PlaceCandidate[], penalty: PlacePenalty) {
    this.#heap = candidates;
    this.#penalty = penalty;
    for (const candidate of candidates) candidate.placed = this.#distanceOf(candidate);
    for (let index = (candidates.length >> 1) - 1; index >= 0; index -= 1) this.#sink(index);
  }

  /** Takes the nearest out; undefined when nobody is left. */
  take(): ScalingNode | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return undefined;
      const distance = this.#distanceOf(first);
      if (distance === first.placed) return this.#drop(first);
      first.placed = distance;
      this.#sink(0);
    }
  }

  #distanceOf({ node, distance }: PlaceCandidate): number {
    return distance * this.#penalty.penaltyOf(node);
  }

  #drop(first: PlaceCandidate): ScalingNode {
    const last = this.#heap.pop();
    if (last !== undefined && last !== first) {
      this.#heap[0] = last;
      this.#sink(0);
    }
    return first.node;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const moving = heap[from];
    if (moving === undefined) return;
    let index = from;
    for (;;) {
      const [left, right] = [heap[2 * index + 1], heap[2 * index + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, moving)) break;
      heap[index] = child;
      index = 2 * index + (isRight ? 2 : 1);
    }
    heap[index] = moving;
  }
}

function isBefore(a: PlaceCandidate, b: PlaceCandidate): boolean {
  return a.placed < b.placed || (a.placed === b.placed && a.index < b.index);
}
