import type { CommandSpec } from './command-spec.ts';

const CID = { name: 'cid', about: 'the version, bafyrei…' } as const;

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
  {
    path: 'node cordon',
    summary: 'have a running node take no further versions, and serve those it has',
    settings: ['data'],
    examples: ['node cordon --data ./node'],
    load: async () => (await import('./commands/node-orders.ts')).runNodeCordon,
  },
  {
    path: 'node uncordon',
    summary: 'have a cordoned node take versions again',
    settings: ['data'],
    examples: ['node uncordon --data ./node'],
    load: async () => (await import('./commands/node-orders.ts')).runNodeUncordon,
  },
  {
    path: 'node pin',
    summary: 'have a running node keep a version in memory, and load it if it can',
    operands: [CID],
    settings: ['data'],
    examples: ['node pin bafyrei… --data ./node'],
    load: async () => (await import('./commands/node-orders.ts')).runNodePin,
  },
  {
    path: 'node unpin',
    summary: 'let a version leave memory again when nobody asks for it',
    operands: [CID],
    settings: ['data'],
    examples: ['node unpin bafyrei… --data ./node'],
    load: async () => (await import('./commands/node-orders.ts')).runNodeUnpin,
  },
  {
    path: 'node forbid',
    summary: 'have a running node give a version up and never hold it again',
    operands: [CID],
    settings: ['data'],
    examples: ['node forbid bafyrei… --data ./node'],
    load: async () => (await import('./commands/node-orders.ts')).runNodeForbid,
  },
  {
    path: 'node allow',
    summary: 'let a forbidden version be held again',
    operands: [CID],
    settings: ['data'],
    examples: ['node allow bafyrei… --data ./node'],
    load: async () => (await import('./commands/node-orders.ts')).runNodeAllow,
  },
];
