/** How many processes hold a version, and how many threads each computes with. */
export interface InstanceLayout {
  readonly instances: number;
  readonly threads: number;
}

/** Times what a request takes with all threads that it may take with one: nobody who asks alone shall notice. */
const MAX_ALONE_FACTOR = 1.1;

/** What twice the processes must gain, to be worth the memory of each. */
const MIN_DOUBLING_GAIN = 1.25;

/** What processes of one thread must gain over one of all threads: what two measurements differ by is none. */
const MIN_SPREAD_GAIN = 1.1;

/** Times of one request alone, in milliseconds. */
export interface AloneTimes {
  /** With all threads. */
  readonly wideMs: number;
  /** With one. */
  readonly narrowMs: number;
  /** What the publisher holds to be soon enough; null when he does not say. */
  readonly objectiveMs: number | null;
}

/** Whether one thread does for whoever asks alone: as soon as all threads would be done, or as the publisher wants it. */
export function oneThreadDoes({ wideMs, narrowMs, objectiveMs }: AloneTimes): boolean {
  return narrowMs <= wideMs * MAX_ALONE_FACTOR || (objectiveMs !== null && narrowMs <= objectiveMs);
}

/** Whether more processes are worth their memory, by what gets done in a second with both numbers of them. */
export function morePays(
  before: { readonly instances: number; readonly perSecond: number },
  after: { readonly instances: number; readonly perSecond: number },
): boolean {
  const doublings = Math.log2(after.instances / before.instances);
  return after.perSecond >= before.perSecond * MIN_DOUBLING_GAIN ** doublings;
}

/** Whether processes of one thread each get enough more done in a second than one of all threads. */
export function spreadPays(widePerSecond: number, spreadPerSecond: number): boolean {
  return spreadPerSecond >= widePerSecond * MIN_SPREAD_GAIN;
}
