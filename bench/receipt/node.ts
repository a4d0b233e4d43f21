/** The node of the comparison: a whole one, in a process of its own, which signs receipts for those requests that ask. */

import pino from 'pino';
import { createNode } from '../../node/index.ts';
import { tuneGarbageCollection } from '../../src/cli/garbage-collection.ts';
import { NETWORK } from '../swarm-libp2p.ts';
import { answerQuestions } from '../worker.ts';

export type NodeQuestions = {
  /** Answered with an address of it. */
  readonly serve: { readonly ask: { readonly dataDir: string }; readonly answer: string };
  /** CPU microseconds of the process since it began; the model's own process is not in it. */
  readonly cpu: { readonly ask: null; readonly answer: number };
};

const closing: (() => Promise<void>)[] = [];

answerQuestions<NodeQuestions>(
  {
    async serve({ dataDir }) {
      tuneGarbageCollection();
      const node = await createNode({
        ...{ dataDir, network: NETWORK, listen: ['/ip4/127.0.0.1/tcp/0'], bootstrap: [] },
        ...{ mdns: false, allowPublishers: 'any', maxCores: 1, threads: 1 },
        logger: pino({ level: 'error' }, pino.destination(2)),
      });
      closing.push(() => node.stop());
      const [address] = node.addresses;
      if (address === undefined) throw new Error('expected the node to listen, found no address');
      return address;
    },
    async cpu() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
  },
  async () => {
    for (const close of closing.toReversed()) await close();
  },
);
