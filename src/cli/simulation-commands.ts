import type { CommandSpec } from './command-spec.ts';

/** What tries policies in a time of its own, without a swarm. */
export const SIMULATION_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'sim',
    summary: 'simulate a swarm that scales itself; joins none and starts none',
    settings: [],
    options: [
      { flags: '--nodes <n>', about: 'from 1 to 10000; makes it large (default: 50)' },
      { flags: '--clients <n>', about: 'from 1 to 100000 (default: 200)' },
      { flags: '--versions <n>', about: 'by Zipf, from 1 to 1000 (default: 5)' },
      {
        flags: '--rate <n>',
        about: 'requests a second, of all versions; makes it large (default: 20)',
      },
      {
        flags: '--trace <trace>',
        about: 'steady, step, flash, diurnal, or a file of seconds and rates (default: flash)',
      },
      { flags: '--for <duration>', about: 'simulated time, to 1d; makes it large (default: 5m)' },
      {
        flags: '--spread <n>',
        about: 'times as fast as the slowest node the fastest is (default: 1)',
      },
      { flags: '--lost <share>', about: 'of the nodes, gone at half the time (default: 0)' },
      { flags: '--seed <n>', about: 'another swarm and other requests for each (default: 1)' },
      { flags: '--plot <file>', about: 'writes a page with the curves into a new file' },
    ],
    examples: [
      'sim',
      'sim --nodes 1000 --clients 10000 --versions 100 --rate 5000 --trace diurnal --for 1h --spread 60',
      'sim --trace monday.txt --plot monday.html --json',
    ],
    load: async () => (await import('./commands/sim.ts')).runSim,
  },
];
