import type { VersionTimes } from './version-times.ts';
import type { WaitingLine, WaitingRequest } from './waiting-line.ts';

export interface NextBatchInit {
  readonly maxRows: number;
  /** When it should begin, on the line's clock. */
  readonly beginsAtMs: number;
  readonly times: Pick<VersionTimes, 'estimateMs'>;
}

/** Takes the request whose turn it is, and all that may run with it, as many as fit and are done in time together. */
export function takeBatch(line: WaitingLine, init: NextBatchInit): readonly WaitingRequest[] {
  const first = takeFirst(line, init);
  return first === undefined ? [] : takeAlong(line, first, init);
}

/** While others wait that can be done in time, one that cannot makes way for them. */
function takeFirst(
  line: WaitingLine,
  { beginsAtMs, times }: NextBatchInit,
): WaitingRequest | undefined {
  for (;;) {
    const next = line.take();
    if (next === undefined || line.length === 0) return next;
    if (beginsAtMs + (times.estimateMs(next.cost) ?? 0) <= next.deadlineAtMs) return next;
    next.expire();
  }
}

function takeAlong(
  line: WaitingLine,
  first: WaitingRequest,
  { maxRows, beginsAtMs, times }: NextBatchInit,
): readonly WaitingRequest[] {
  const { form } = first;
  if (form === undefined) return [first];
  const doneAtMs = (elements: number): number => beginsAtMs + (times.estimateMs(elements) ?? 0);
  const batch = [first];
  let restRows = maxRows - form.rows;
  let { cost } = first;
  // One that is late already has nothing to lose by the others.
  let untilMs = first.deadlineAtMs;
  if (doneAtMs(cost) > untilMs) untilMs = Number.POSITIVE_INFINITY;
  const fits = (other: WaitingRequest): boolean =>
    other.form?.key === form.key &&
    other.form.rows <= restRows &&
    doneAtMs(cost + other.cost) <= Math.min(untilMs, other.deadlineAtMs);
  while (restRows > 0) {
    const next = line.takeAlong(fits);
    if (next === undefined) break;
    batch.push(next);
    restRows -= next.form?.rows ?? 0;
    cost += next.cost;
    untilMs = Math.min(untilMs, next.deadlineAtMs);
  }
  return batch;
}
