/** One end of a transfer, in a process of its own: `peer.ts <mover>`. */
import { mkdir } from 'node:fs/promises';
import { tuneGarbageCollection } from '../../src/cli/garbage-collection.ts';
import { answerQuestions } from '../worker.ts';
import type { Endpoint, EndpointInit } from './mover.ts';
import { BITSWAP, loadMover, type MoverName } from './movers.ts';

/** What was found of one fetch, from the side that fetched. */
export interface Fetched {
  readonly seconds: number;
  /** Bytes of the blocks that came over the network. */
  readonly movedBytes: number;
  /** CPU time of the process, all its threads. */
  readonly cpuSeconds: number;
}

export type PeerQuestions = {
  readonly open: { readonly ask: EndpointInit; readonly answer: string };
  readonly hold: { readonly ask: { readonly file: string }; readonly answer: string };
  readonly connect: { readonly ask: { readonly addresses: readonly string[] }; answer: null };
  readonly fetch: {
    readonly ask: { readonly reference: string; readonly addresses: readonly string[] };
    readonly answer: Fetched;
  };
  readonly use: {
    readonly ask: { readonly reference: string };
    /** Seconds that it took until all is kept as it should be. */
    readonly answer: number;
  };
  readonly forget: { readonly ask: { readonly reference: string }; readonly answer: null };
  /** CPU seconds of the process since it began. */
  readonly cpu: { readonly ask: null; readonly answer: number };
};

const name = process.argv[2] as MoverName;
// As a node does, and for the limit too, which is no limit without it; whoever uses Helia has it as it comes.
if (name !== BITSWAP) tuneGarbageCollection();
const mover = await loadMover(name);
let endpoint: Endpoint | undefined;

answerQuestions<PeerQuestions>(
  {
    async open(init) {
      await mkdir(init.folder, { recursive: true });
      endpoint = await mover.open(init);
      return endpoint.address;
    },
    hold: async ({ file }) => opened().hold(file),
    async connect({ addresses }) {
      await opened().connect(addresses);
      return null;
    },
    async fetch({ reference, addresses }) {
      const cpuBefore = cpuSeconds();
      const before = performance.now();
      const movedBytes = await opened().fetch(reference, addresses);
      const seconds = (performance.now() - before) / 1000;
      return { seconds, movedBytes, cpuSeconds: cpuSeconds() - cpuBefore };
    },
    async use({ reference }) {
      const before = performance.now();
      await opened().use?.(reference);
      return (performance.now() - before) / 1000;
    },
    async forget({ reference }) {
      await opened().forget(reference);
      return null;
    },
    cpu: async () => cpuSeconds(),
  },
  async () => endpoint?.close(),
);

function opened(): Endpoint {
  if (endpoint === undefined) throw new Error('expected open before anything else');
  return endpoint;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
