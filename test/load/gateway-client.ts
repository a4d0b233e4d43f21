/** Callers of a gateway in a process of their own: each calls again as soon as it was answered, over HTTP in binary form, and checks every answer. */
import { Agent, request } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { seededRandom } from '../../src/sim/random.ts';
import { CallTally, isSum } from './call-tally.ts';

/** How long a call may take, as a caller's patience: longer than a frozen node is waited for. */
const DEADLINE_MS = 15_000;

/** Longest pause of a caller between two calls: all of them together leave the machine room to be disturbed. */
const MAX_PAUSE_MS = 1_000;

/** Milliseconds between two collections of all that is held no more. */
const COLLECT_INTERVAL_MS = 10_000;

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

// What waits for a node that stands still grows old, and V8 leaves it where it is for many minutes of so few calls: what the process
// holds could not be told from what nobody has collected yet.
setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');
if (typeof collect !== 'function') throw new Error('expected V8 to have gc, found none');
const collecting = setInterval(() => void collect(), COLLECT_INTERVAL_MS);

const tally = new CallTally();
await tally.tellWhile(Array.from({ length: callers }, call));
clearInterval(collecting);
agent.destroy();

async function call(): Promise<void> {
  while (!ending) {
    const model = models[Math.floor(random() * models.length)];
    if (model === undefined) throw new Error('expected a model to call');
    await callOnce(model);
    await new Promise((resolve) => setTimeout(resolve, random() * MAX_PAUSE_MS));
  }
}

async function callOnce({ reference, offset }: Init['models'][number]): Promise<void> {
  const sent = tally.inputs(ROWS[Math.floor(random() * ROWS.length)] ?? 1);
  const story = tally.begin();
  try {
    const { status, jsonBytes, bytes } = await infer(reference, sent);
    const json = bytes.subarray(0, jsonBytes).toString();
    if (status !== 200) throw new Error(`status ${status}: ${json.slice(0, 500)}`);
    const { parameters } = JSON.parse(json) as { parameters: { node: string } };
    const tensor = bytes.subarray(jsonBytes);
    const isRight = tensor.byteLength === sent.byteLength && isSum(floats(tensor), sent, offset);
    tally.answered(parameters.node, isRight, story());
  } catch (error) {
    tally.failed(String(error), story());
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
    const asked = request(url, { method: 'POST', agent, headers }, (response) => {
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
    // Not a signal with a timeout: that would outlive its call by all of the deadline, and V8 make ever more room for what it holds.
    const timer = setTimeout(() => {
      asked.destroy(new Error(`no answer within ${DEADLINE_MS} ms`));
    }, DEADLINE_MS);
    asked.once('close', () => clearTimeout(timer));
    asked.write(json);
    asked.end(new Uint8Array(sent.buffer));
  });
}

function floats(bytes: Buffer): number[] {
  return Array.from({ length: bytes.byteLength / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}
