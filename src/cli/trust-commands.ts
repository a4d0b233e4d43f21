import type { CommandSpec } from './command-spec.ts';

/** The commands for what nodes signed, in the order in which help shows them. */
export const TRUST_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'nodes evidence',
    summary: 'list what is kept against nodes that answered wrongly, and check what they signed',
    settings: ['data'],
    examples: ['nodes evidence', 'nodes evidence --json'],
    load: async () => (await import('./commands/evidence.ts')).runNodesEvidence,
  },
  {
    path: 'receipt verify',
    summary: 'check who signed a receipt and of which answer it is; joins no swarm',
    operands: [{ name: 'file', about: 'a receipt, as `infer --receipt` writes it' }],
    settings: [],
    options: [
      {
        flags: '--request <file>',
        about:
          "the request, in the Open Inference Protocol's JSON: its inputs must be the receipt's",
      },
      {
        flags: '--response <file>',
        about:
          'the response, as `infer` prints it: outputs, version and node must be those of the receipt',
      },
      { flags: '--node <id>', about: 'the node that must have signed it' },
      { flags: '--caller <id>', about: 'the peer that it must have answered' },
      { flags: '--cid <cid>', about: 'the version that must have answered' },
    ],
    examples: [
      'receipt verify answer.receipt',
      'receipt verify answer.receipt --request request.json --response response.json',
      'receipt verify answer.receipt --node 12D3KooW… --cid bafyrei… --json',
    ],
    load: async () => (await import('./commands/receipt.ts')).runReceiptVerify,
  },
];
