/** A client of the load in a process of its own: calls at random moments, checks every answer, says each second what it saw. */
import { setTimeout as delay } from 'node:timers/promises';
import { type CallProgress, createClient, isSwarmError, Tensor } from '../../src/index.ts';
import { seededRandom } from '../../src/sim/random.ts';
import type { CallFailure, CallStory, ClientLine } from './client-report.ts';

/** How long a call may take, finding another node included: longer than a frozen node is waited for. */
const DEADLINE_MS = 15_000;

/** Calls that are open at once at most. */
const WORKERS = 8;

/** Failures that are told in full: a broken run has thousands of the same. */
const MAX_FAILURES = 20;

/** Events of one call that are told. */
const MAX_EVENTS = 24;

/** Whole numbers below this are exact in FP32, with what a model adds. */
const EXACT = 2 ** 22;

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

const answers: Record<string, number> = {};
const failures: CallFailure[] = [];
const counts = { wrong: 0, failed: 0, retried: 0, cancelled: 0, refused: 0 };
let slowest: CallStory | undefined;
let lastBase = 0;

await using client = await createClient({ bootstrap, mode });
process.stdout.on('error', () => process.exit(1));
const telling = setInterval(() => tell(false), 1_000);
await Promise.all(Array.from({ length: WORKERS }, work));
clearInterval(telling);
tell(true);

function tell(last: boolean): void {
  const memory = { ...process.memoryUsage() };
  const line: ClientLine = { last, answers, failures, ...counts, slowest, memory };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

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
  const startedAtMs = performance.now();
  const onProgress = (progress: CallProgress): void => {
    if (events.length >= MAX_EVENTS || progress.kind === 'transfer') return;
    events.push(`${Math.round(progress.elapsedMs)} ms: ${summary(progress)}`);
  };
  const story = (): CallStory => ({
    at: new Date().toISOString(),
    afterMs: Math.round(performance.now() - startedAtMs),
    events,
  });
  try {
    const result = await client.infer(
      reference,
      { x: sent },
      { deadlineMs: DEADLINE_MS, onProgress },
    );
    if (result.failedAttempts.length > 0) counts.retried += 1;
    if (isSum(result.outputs['sum'], sent, offset)) {
      answers[result.node] = (answers[result.node] ?? 0) + 1;
    } else counts.wrong += 1;
    const told = story();
    if (told.afterMs > (slowest?.afterMs ?? 0)) slowest = told;
  } catch (error) {
    counts.failed += 1;
    if (failures.length >= MAX_FAILURES) return;
    const message = isSwarmError(error) ? `${error.code}: ${error.message}` : String(error);
    failures.push({ ...story(), message });
  }
}

async function callAndCancel({ reference }: LoadModel): Promise<void> {
  const reason = new Error('not wanted any more');
  const call = client.infer(reference, { x: inputs() }, { deadlineMs: DEADLINE_MS });
  const timer = setTimeout(() => call.cancel(reason), random() * MAX_CANCEL_MS);
  try {
    await call;
    counts.cancelled += 1;
  } catch (error) {
    if (error === reason) counts.cancelled += 1;
    else counts.failed += 1;
  } finally {
    clearTimeout(timer);
  }
}

async function callWrongly({ reference }: LoadModel): Promise<void> {
  const x = Tensor.from('FP32', [16, 5], new Float32Array(80));
  try {
    await client.infer(reference, { x }, { deadlineMs: DEADLINE_MS });
    counts.wrong += 1;
  } catch (error) {
    if (isSwarmError(error) && error.code === 'ERR_INVALID_INPUT') counts.refused += 1;
    else counts.failed += 1;
  }
}

/** Numbers that no call near this one has: an answer to another call is told from the right one. */
function inputs(): Tensor {
  let left = random() * 100;
  const { rows } = SIZES.find(({ share }) => (left -= share) < 0) ?? SIZES[0];
  lastBase = (lastBase + 7) % EXACT;
  const data = new Float32Array(rows * 4);
  for (let index = 0; index < data.length; index += 1) data[index] = (lastBase + index) % EXACT;
  return Tensor.from('FP32', [rows, 4], data);
}

function isSum(found: Tensor | undefined, sent: Tensor, offset: number): boolean {
  const expected = sent.data;
  const sums = found?.data;
  if (sums?.length !== expected.length) return false;
  for (let index = 0; index < expected.length; index += 1) {
    if (sums[index] !== Number(expected[index]) + offset) return false;
  }
  return true;
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
