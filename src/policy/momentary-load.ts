import type { LoadReport } from '../../protocols/types.ts';
import type { RunWork } from './admission.ts';
import { RUNNING_REST, turnsAhead } from './routing.ts';

/** How many times as long as expected an execution takes before it counts as stuck: below, it is only a long one. */
const STUCK_FACTOR = 2;

/**
 * What a node says of its load to those who are about to choose: while all that execute take far longer than expected, what
 * waits there waits for them, and that is said as a longer execution. The requests in the queue alone would not tell: of a node
 * that stands still they are few until those who see few have sent more.
 *
 * An execution that has taken so long is taken to take as long again, which is what long-tailed times do; a pause of the host has
 * no other sign. Not for announcements, which are to hold for longer than a moment.
 */
export function momentaryLoad(load: LoadReport, runs: readonly RunWork[]): LoadReport {
  const { inFlight, queued, slots, serviceMs } = load;
  const begun = runs.filter(({ runningMs }) => runningMs > 0);
  if (serviceMs === null || begun.length === 0) return load;
  let restMs = Number.POSITIVE_INFINITY;
  for (const { expectedMs, runningMs } of begun) {
    if (expectedMs === null || runningMs < STUCK_FACTOR * expectedMs) return load;
    restMs = Math.min(restMs, runningMs);
  }
  // So much longer that callers, who work out the wait from a report, come to what is left of it.
  const turns = turnsAhead(inFlight + queued, slots);
  if (turns <= 0) return load;
  return { ...load, serviceMs: serviceMs + Math.max(0, restMs - RUNNING_REST * serviceMs) / turns };
}
