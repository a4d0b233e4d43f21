/** A client of the load in a process of its own: calls at random moments, checks every answer, says each second what it saw. */
import { setTimeout as delay } from 'node:timers/promises';
import { type CallProgress, createClient, isSwarmError, Tensor } from '../../src/index.ts';
import { seededRandom } from '../../src/sim/random.ts';
import { CallTally, isSum } from './call-tally.ts';

/** How long a call may take, finding another node included: longer than a frozen node is waited for. */
const DEADLINE_MS = 15_000;

/** Calls that are open at once at most. */
const WORKERS = 8;

/** Events of one call that are told. */
const MAX_EVENTS = 24;

/** Rows of an input of four columns, and how many calls of a hundred have them: up to 64 KiB beside the header, more on credit. */
const SIZES = [
  { rows: 1, share: 60 },
  { rows: 64, share: 20 },
  { rows: 8_192, share: 15 },
  { rows: 65_536, share: 5 },
] as const;

/** Of a hundred calls: those that are taken back within a moment, and those whose input is wrong. */
const CANCELLED_SHARE = 4;
const WRONG_SHARE = 2;

/** Longest time until a call that is taken back is. */
const MAX_CANCEL_MS = 30;

/** What each model adds to its input tells its answers from those of the others. */
interface LoadModel {
  readonly reference: string;
  readonly offset: number;
}

interface Init {
  readonly bootstrap: readonly string[];
  readonly mode: 'full' | 'light';
  readonly seed: number;
  readonly callsPerSecond: number;
  readonly models: readonly LoadModel[];
}

const { bootstrap, mode, seed, callsPerSecond, models } = JSON.parse(
  process.argv[2] ?? '{}',
) as Init;
const random = seededRandom(seed);
const ending = new AbortController();
process.stdin.resume().once('end', () => ending.abort());

const tally = new CallTally();
await using client = await createClient({ bootstrap, mode });
await tally.tellWhile(Array.from({ length: WORKERS }, work));

/** Calls, each after a pause of random length, so that all workers together call so often a second. */
async function work(): Promise<void> {
  for (;;) {
    const pauseMs = (-Math.log(1 - random()) * WORKERS * 1_000) / callsPerSecond;
    try {
      await delay(pauseMs, undefined, { signal: ending.signal });
    } catch {
      return;
    }
    await callOnce();
  }
}

async function callOnce(): Promise<void> {
  const model = models[Math.floor(random() * models.length)];
  if (model === undefined) throw new Error('expected a model to call');
  const kind = random() * 100;
  if (kind < CANCELLED_SHARE) return callAndCancel(model);
  if (kind < CANCELLED_SHARE + WRONG_SHARE) return callWrongly(model);
  return call(model);
}

async function call({ reference, offset }: LoadModel): Promise<void> {
  const sent = inputs();
  const events: string[] = [];
  const story = tally.begin(events);
  const onProgress = (progress: CallProgress): void => {
    if (events.length >= MAX_EVENTS || progress.kind === 'transfer') return;
    events.push(`${Math.round(progress.elapsedMs)} ms: ${summary(progress)}`);
  };
  try {
    const x = Tensor.from('FP32', [sent.length / 4, 4], sent);
    const result = await client.infer(reference, { x }, { deadlineMs: DEADLINE_MS, onProgress });
    if (result.failedAttempts.length > 0) tally.counts.retried += 1;
    const sums = result.outputs['sum']?.data;
    const isRight = sums instanceof Float32Array && isSum(sums, sent, offset);
    tally.answered(result.node, isRight, story());
  } catch (error) {
    const message = isSwarmError(error) ? `${error.code}: ${error.message}` : String(error);
    tally.failed(message, story());
  }
}

async function callAndCancel({ reference }: LoadModel): Promise<void> {
  const reason = new Error('not wanted any more');
  const sent = inputs();
  const x = Tensor.from('FP32', [sent.length / 4, 4], sent);
  const call = client.infer(reference, { x }, { deadlineMs: DEADLINE_MS });
  const timer = setTimeout(() => call.cancel(reason), random() * MAX_CANCEL_MS);
  try {
    await call;
    tally.counts.cancelled += 1;
  } catch (error) {
    if (error === reason) tally.counts.cancelled += 1;
    else tally.counts.failed += 1;
  } finally {
    clearTimeout(timer);
  }
}

async function callWrongly({ reference }: LoadModel): Promise<void> {
  const x = Tensor.from('FP32', [16, 5], new Float32Array(80));
  try {
    await client.infer(reference, { x }, { deadlineMs: DEADLINE_MS });
    tally.counts.wrong += 1;
  } catch (error) {
    if (isSwarmError(error) && error.code === 'ERR_INVALID_INPUT') tally.counts.refused += 1;
    else tally.counts.failed += 1;
  }
}

function inputs(): Float32Array<ArrayBuffer> {
  let left = random() * 100;
  return tally.inputs((SIZES.find(({ share }) => (left -= share) < 0) ?? SIZES[0]).rows);
}

function summary(progress: CallProgress): string {
  switch (progress.kind) {
    case 'sent':
      return `sent ${progress.node.slice(-6)}`;
    case 'failed':
      return `failed ${progress.node.slice(-6)} ${progress.code}: ${progress.message}`;
    case 'waiting':
      return `waiting ${progress.waitMs} ms`;
    default:
      return progress.kind;
  }
}
