import { Command } from 'commander';
import { balanceCommand } from './balance.ts';
import type { BenchHost } from './command.ts';
import { deviceCommand } from './device.ts';
import { executionCommand } from './execution.ts';
import { failoverCommand } from './failover.ts';
import { gatewayCommand } from './gateway.ts';
import { grpcCommand } from './grpc.ts';
import { importCommand } from './import.ts';
import { prepackedCommand } from './prepacked.ts';
import { receiptCommand } from './receipt.ts';
import { rpcCommand } from './rpc.ts';
import { simCommand } from './sim.ts';
import { transferCommand } from './transfer.ts';

const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => ending.abort(new Error(`stopped by ${name}`)));
}

const host: BenchHost = {
  signal: ending.signal,
  progress: (text) => process.stderr.write(`${text}\n`),
};

const program = new Command('npm run bench --')
  .description(
    'Measurements against peers and limits on this machine, all in one run: compare ratios.',
  )
  .addCommand(rpcCommand(host))
  .addCommand(importCommand(host))
  .addCommand(transferCommand(host))
  .addCommand(executionCommand(host))
  .addCommand(deviceCommand(host))
  .addCommand(prepackedCommand(host))
  .addCommand(balanceCommand(host))
  .addCommand(failoverCommand(host))
  .addCommand(receiptCommand(host))
  .addCommand(simCommand(host))
  .addCommand(gatewayCommand(host))
  .addCommand(grpcCommand(host))
  .addHelpText(
    'after',
    '\nExamples:\n  npm run bench -- rpc\n  npm run bench -- rpc --json --seconds 1 --rounds 5\n  npm run bench -- import',
  );

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
}
