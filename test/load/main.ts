/** `npm run test:load`: clients against nodes that die, come back and stand still at random, with every answer checked. */

import { randomInt } from 'node:crypto';
import { Command } from 'commander';
import { positiveInteger, positiveNumber } from '../../bench/command.ts';
import { formatReport } from './load-report.ts';
import { runLoad } from './load-run.ts';

interface Options {
  readonly json: boolean;
  readonly minutes: number;
  readonly seed: number;
  readonly rate: number;
  readonly gateway?: number;
}

const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => ending.abort(new Error(`stopped by ${name}`)));
}

const { json, minutes, seed, rate, gateway } = new Command('npm run test:load --')
  .description(
    'Calls of two clients on three nodes of which two at most are killed, stopped or frozen at once.',
  )
  .option('--json', 'print the report as JSON on the last line', false)
  .option('--minutes <n>', 'how long it lasts', positiveNumber, 10)
  .option(
    '--seed <n>',
    'draws the same calls and disturbances again',
    positiveInteger,
    randomInt(1, 2 ** 31),
  )
  .option('--rate <n>', 'calls a second', positiveNumber, 60)
  .option('--gateway <callers>', 'call through a gateway, so many at once', positiveInteger)
  .parse()
  .opts<Options>();

const startedAtMs = Date.now();
process.stderr.write(`seed ${seed}\n`);
const report = await runLoad({
  durationMs: minutes * 60_000,
  seed,
  callsPerSecond: rate,
  gatewayCallers: gateway,
  signal: ending.signal,
  progress: (text) =>
    process.stderr.write(`${Math.round((Date.now() - startedAtMs) / 1000)} s: ${text}\n`),
});
process.stdout.write(formatReport(report));
if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.faults.length === 0 ? 0 : 1;
