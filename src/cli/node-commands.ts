import type { CommandSpec } from './command-table.ts';

/** What an owner asks of his running node, in another terminal. */
export const NODE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'node status',
    summary: 'show what a running node of this machine has in memory, and whether it is paused',
    settings: ['data'],
    examples: ['node status', 'node status --data ./node --json'],
    load: async () => (await import('./commands/node-control.ts')).runNodeStatus,
  },
  {
    path: 'node pause',
    summary:
      'have a running node finish what it has, take nothing new and give its memory back, until it is resumed',
    settings: ['data'],
    examples: ['node pause --data ./node'],
    load: async () => (await import('./commands/node-control.ts')).runNodePause,
  },
  {
    path: 'node resume',
    summary: 'have a paused node serve again',
    settings: ['data'],
    examples: ['node resume --data ./node'],
    load: async () => (await import('./commands/node-control.ts')).runNodeResume,
  },
  {
    path: 'node drain',
    summary: 'have other nodes take over what a running node serves, then end it',
    settings: ['data'],
    examples: ['node drain --data ./node'],
    load: async () => (await import('./commands/node-drain.ts')).runNodeDrain,
  },
];
