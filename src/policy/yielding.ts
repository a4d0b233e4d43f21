/** Looks in a row that must find the GPU left before a node takes it again: a game that loads a level is not over. */
export const QUIET_LOOKS = 6;

/** Whether a node leaves the GPU to others: at once when somebody else computes on it, until nobody has for a while. */
export class Yielding {
  #quiet = QUIET_LOOKS;

  /** Takes in whether a process of somebody else computes on a GPU, and says whether the node leaves it. */
  look(othersCompute: boolean): boolean {
    this.#quiet = othersCompute ? 0 : this.#quiet + 1;
    return this.#quiet < QUIET_LOOKS;
  }
}
