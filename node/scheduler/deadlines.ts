import type { Clock } from './clock.ts';

/** What has a deadline and is told when it has passed. */
export interface Expiring {
  /** On the clock; Infinity for none. */
  readonly deadlineAtMs: number;
  /** Where it lies among the others; theirs who keep it. */
  place: number;
  /** Called once it has passed, unless it was removed before. */
  late(): void;
}

const NOTHING = (): void => {};

/**
 * Watches the deadlines of many by one timer: nearly all are done long before, and a timer for each costs as much as its place in
 * the queue. It is set for the earliest it has seen, and looks for the next when that one has passed.
 */
export class Deadlines {
  readonly #clock: Clock;
  /** In no order: an array whose members take each other's place, for the reason of {@link FairOrder}. */
  readonly #members: Expiring[] = [];
  #setForMs = Infinity;
  #unset = NOTHING;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(member: Expiring): void {
    if (member.deadlineAtMs === Infinity) return;
    member.place = this.#members.push(member) - 1;
    if (member.deadlineAtMs < this.#setForMs) this.#set(member.deadlineAtMs);
  }

  /** Tells it nothing any more. Idempotent. */
  remove(member: Expiring): void {
    const { place } = member;
    if (this.#members[place] !== member) return;
    const last = this.#members.pop();
    if (last !== undefined && last !== member) {
      this.#members[place] = last;
      last.place = place;
    }
    if (this.#members.length === 0) this.#set(Infinity);
  }

  #set(atMs: number): void {
    this.#unset();
    this.#setForMs = atMs;
    if (atMs === Infinity) {
      this.#unset = NOTHING;
      return;
    }
    const restMs = Math.max(0, Math.ceil(atMs - this.#clock.nowMs()));
    this.#unset = this.#clock.after(restMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    let nextMs = Infinity;
    const late: Expiring[] = [];
    for (const member of this.#members) {
      if (member.deadlineAtMs <= nowMs) late.push(member);
      else nextMs = Math.min(nextMs, member.deadlineAtMs);
    }
    // Before they are told: what they set in motion may add others.
    this.#set(nextMs);
    for (const member of late) {
      // One that was told before may have ended it.
      if (this.#members[member.place] !== member) continue;
      this.remove(member);
      member.late();
    }
  }
}
