/** `npm run test:conformance`: the ONNX project's own tests, each through a swarm as a user's model would go. */
import { Command } from 'commander';
import { positiveInteger } from '../../bench/command.ts';
import { findOnnxCases, type OnnxCase } from './onnx-case.ts';
import { fetchOnnxData, ONNX_DATA } from './onnx-data.ts';
import { PlainRuntime, type RuntimeVerdict } from './runtime.ts';
import { SwarmWay } from './swarm-way.ts';
import { formatTally, type Row, tallyOf } from './tally.ts';

/** Versions on one node before it is replaced: each has a process of its own, of some 50 MiB. */
const VERSIONS_PER_NODE = 48;

interface Options {
  readonly json: boolean;
  readonly golden: boolean;
  readonly only: string;
  readonly publishers: number;
}

const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => ending.abort(new Error(`stopped by ${name}`)));
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function judgeAlone(tests: readonly OnnxCase[]): Promise<RuntimeVerdict[]> {
  await using runtime = new PlainRuntime();
  const verdicts: RuntimeVerdict[] = [];
  for (const test of tests) verdicts.push(await runtime.judge(test, ending.signal));
  return verdicts;
}

async function run({ only, publishers, golden }: Options): Promise<Row[]> {
  const all = await findOnnxCases(ONNX_DATA);
  const tests = all.filter(({ name }) => name.includes(only));
  if (tests.length === 0) throw new Error(`none of ${all.length} tests has '${only}' in its name`);
  const runtime = await judgeAlone(tests);
  const right = runtime.filter(({ outcome }) => outcome === 'right').length;
  progress(`ONNX Runtime alone passes ${right} of ${tests.length}`);
  const rows: Row[] = [];
  await using way = await SwarmWay.start({ publishers, golden });
  for (let first = 0; first < tests.length; first += VERSIONS_PER_NODE) {
    if (first > 0) await way.renewNode();
    const some = tests.slice(first, first + VERSIONS_PER_NODE);
    const judged = some.map(async (test, index): Promise<Row> => {
      const alone = runtime[first + index];
      if (alone === undefined) throw new Error(`no verdict of ${test.name}`);
      return { test: test.name, runtime: alone, swarm: await way.judge(test, ending.signal) };
    });
    rows.push(...(await Promise.all(judged)));
    progress(`${rows.length} of ${tests.length} through the swarm`);
  }
  return rows;
}

const { json, ...options } = new Command('npm run test:conformance --')
  .description("The ONNX project's own tests through publish, fetch on a node, and infer.")
  .option('--json', 'print the tally and every test as JSON on the last line', false)
  .option('--golden', 'publish each with what it expects as golden vectors', false)
  .option('--only <text>', 'only tests with this in their name, such as node/test_cast', '')
  .option('--publishers <n>', 'publish so many at a time', positiveInteger, 3)
  .parse()
  .opts<Options>();

try {
  await fetchOnnxData(ending.signal);
  const startMs = performance.now();
  const rows = await run({ ...options, json });
  const seconds = Math.round((performance.now() - startMs) / 1000);
  const tally = tallyOf(rows);
  console.log(formatTally(rows));
  progress(`${seconds} s`);
  if (json) console.log(JSON.stringify({ ...tally, seconds, rows }));
  // A refusal counts too: of what ONNX's tests use, policy refuses nothing that the runtime can do.
  process.exitCode = tally.failed === 0 && tally.passed === tally.supported ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
