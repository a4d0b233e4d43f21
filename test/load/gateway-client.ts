/** Callers of a gateway in a process of their own: each calls again as soon as it was answered, over HTTP in binary form, and checks every answer. */
import { Agent, request } from 'node:http';
import { seededRandom } from '../../src/sim/random.ts';
import type { CallFailure, CallStory, ClientLine } from './client-report.ts';

/** How long a call may take, as a caller's patience: longer than a frozen node is waited for. */
const DEADLINE_MS = 15_000;

/** Failures that are told in full: a broken run has thousands of the same. */
const MAX_FAILURES = 20;

/** Whole numbers below this are exact in FP32, with what a model adds. */
const EXACT = 2 ** 22;

/** Longest pause of a caller between two calls: all of them together leave the machine room to be disturbed. */
const MAX_PAUSE_MS = 1_000;

/** Rows of an input of four columns. */
const ROWS = [1, 1, 1, 64, 1_024] as const;

interface Init {
  /** `http://127.0.0.1:8000` */
  readonly http: string;
  readonly callers: number;
  readonly seed: number;
  readonly models: readonly { readonly reference: string; readonly offset: number }[];
}

interface Answer {
  readonly status: number;
  readonly jsonBytes: number;
  readonly bytes: Buffer;
}

const { http, callers, seed, models } = JSON.parse(process.argv[2] ?? '{}') as Init;
const random = seededRandom(seed);
const agent = new Agent({ keepAlive: true, maxSockets: callers });
let ending = false;
process.stdin.resume().once('end', () => (ending = true));

const answers: Record<string, number> = {};
const failures: CallFailure[] = [];
const counts = { wrong: 0, failed: 0, retried: 0, cancelled: 0, refused: 0 };
let slowest: CallStory | undefined;
let lastBase = 0;

process.stdout.on('error', () => process.exit(1));
const telling = setInterval(() => tell(false), 1_000);
await Promise.all(Array.from({ length: callers }, call));
clearInterval(telling);
agent.destroy();
tell(true);

function tell(last: boolean): void {
  const memory = { ...process.memoryUsage() };
  const line: ClientLine = { last, answers, failures, ...counts, slowest, memory };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function call(): Promise<void> {
  while (!ending) {
    const model = models[Math.floor(random() * models.length)];
    if (model === undefined) throw new Error('expected a model to call');
    await callOnce(model);
    await new Promise((resolve) => setTimeout(resolve, random() * MAX_PAUSE_MS));
  }
}

async function callOnce({ reference, offset }: Init['models'][number]): Promise<void> {
  const sent = numbers();
  const startedAtMs = performance.now();
  const story = (): CallStory => ({
    at: new Date().toISOString(),
    afterMs: Math.round(performance.now() - startedAtMs),
    events: [],
  });
  try {
    const { status, jsonBytes, bytes } = await infer(reference, sent);
    const json = bytes.subarray(0, jsonBytes).toString();
    if (status !== 200) throw new Error(`status ${status}: ${json.slice(0, 500)}`);
    const { parameters } = JSON.parse(json) as { parameters: { node: string } };
    if (isSum(bytes.subarray(jsonBytes), sent, offset)) {
      answers[parameters.node] = (answers[parameters.node] ?? 0) + 1;
    } else counts.wrong += 1;
    const told = story();
    if (told.afterMs > (slowest?.afterMs ?? 0)) slowest = told;
  } catch (error) {
    counts.failed += 1;
    if (failures.length < MAX_FAILURES) failures.push({ ...story(), message: String(error) });
  }
}

async function infer(reference: string, sent: Float32Array): Promise<Answer> {
  const parameters = { binary_data_size: sent.byteLength };
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [sent.length / 4, 4], parameters }],
      parameters: { binary_data_output: true },
    }),
  );
  return new Promise((resolve, reject) => {
    const headers = { 'inference-header-content-length': json.byteLength };
    const url = `${http}/v2/models/${reference}/infer`;
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const asked = request(url, { method: 'POST', agent, headers, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const bytes = Buffer.concat(chunks);
        const length = response.headers['inference-header-content-length'];
        const jsonBytes = length === undefined ? bytes.byteLength : Number(length);
        resolve({ status: response.statusCode ?? 0, jsonBytes, bytes });
      });
    });
    asked.once('error', reject);
    asked.write(json);
    asked.end(new Uint8Array(sent.buffer));
  });
}

/** Numbers that no call near this one has: an answer to another call is told from the right one. */
function numbers(): Float32Array {
  const rows = ROWS[Math.floor(random() * ROWS.length)] ?? 1;
  lastBase = (lastBase + 7) % EXACT;
  return Float32Array.from({ length: rows * 4 }, (_, index) => (lastBase + index) % EXACT);
}

function isSum(found: Buffer, sent: Float32Array, offset: number): boolean {
  if (found.byteLength !== sent.byteLength) return false;
  return sent.every((value, index) => found.readFloatLE(index * 4) === value + offset);
}
