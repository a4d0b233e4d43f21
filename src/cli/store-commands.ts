import type { CommandSpec, OperandSpec } from './command-spec.ts';

const CID: OperandSpec = { name: 'cid', about: 'the version, as `store ls --json` names it' };

/** The commands for what a node keeps on its disk; they work while it runs and while it does not. */
export const STORE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'store ls',
    summary: 'list the versions on the disk of a node',
    settings: ['data'],
    examples: ['store ls', 'store ls --data ./node --json'],
    load: async () => (await import('./commands/store.ts')).runStoreList,
  },
  {
    path: 'store verify',
    summary:
      'hash every byte of every version and repair the index; a node that runs fetches what is damaged again',
    settings: ['data'],
    examples: ['store verify --data ./node'],
    load: async () => (await import('./commands/store.ts')).runStoreVerify,
  },
  {
    path: 'store gc',
    summary: 'remove what the node does not mean to serve, nobody pinned, and others have too',
    settings: ['data'],
    examples: ['store gc --data ./node'],
    load: async () => (await import('./commands/store.ts')).runStoreCollect,
  },
  {
    path: 'store pin',
    summary: 'keep a version whatever room is needed',
    operands: [CID],
    settings: ['data'],
    examples: ['store pin bafyrei… --data ./node'],
    load: async () => (await import('./commands/store.ts')).runStorePin,
  },
  {
    path: 'store unpin',
    summary: 'let a version go again when room is needed',
    operands: [CID],
    settings: ['data'],
    examples: ['store unpin bafyrei… --data ./node'],
    load: async () => (await import('./commands/store.ts')).runStoreUnpin,
  },
];
