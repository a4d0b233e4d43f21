import path from 'node:path';
import { type BootstrapServer, createBootstrapServer } from '../../../bootstrap/index.ts';
import { formatAddress, parseListenAddress } from '../../swarm/listen-address.ts';
import type { CommandContext } from '../command-context.ts';
import { serveUntilTold } from '../daemon.ts';
import { dataFolder } from '../data-folder.ts';
import { fleetInit } from '../fleet-settings.ts';
import { printPairs } from '../table.ts';

/** `swarm bootstrap`: is a way into the swarm until it is told to end. */
export async function runBootstrap(context: CommandContext): Promise<number> {
  const { settings, terminal, cwd, env } = context;
  const dataDir = path.resolve(cwd, dataFolder('bootstrap', settings.data, env));
  return serveUntilTold(context, {
    role: 'bootstrap',
    start: (logger) =>
      createBootstrapServer({
        dataDir,
        listen: settings.listen,
        announce: settings.announce,
        bootstrap: settings.bootstrap,
        network: settings.network,
        mdns: settings.mdns,
        logger,
        ...fleetInit(settings),
        grpc: parseListenAddress(settings.grpc ?? 'off', '--grpc'),
        metrics: parseListenAddress(settings.metrics ?? 'off', '--metrics'),
      }),
    facts: served,
    introduce: (server) => {
      terminal.print(`bootstrap server ${terminal.style('strong', server.id)}`);
      printPairs(terminal, [
        ['network', settings.network],
        ['data', dataDir],
        ...server.addresses.map((address) => ['address', address] as const),
        ...Object.entries(served(server)),
      ]);
      terminal.note('peers join with --bootstrap and one of its addresses');
    },
  });
}

/** Where it is asked how many nodes there are to be. */
function served({ fleetAddresses: { grpc, metrics } }: BootstrapServer): Record<string, string> {
  return {
    ...(grpc && { grpc: formatAddress(grpc) }),
    ...(metrics && { metrics: `http://${formatAddress(metrics)}/metrics` }),
  };
}
