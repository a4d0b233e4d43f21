/** One end of a comparison, in a process of its own: `peer.ts <transport> <mode> [model file]`. */
import path from 'node:path';
import { tuneGarbageCollection } from '../../src/cli/garbage-collection.ts';
import { answerQuestions } from '../worker.ts';
import { type Measurement, type MeasureOptions, measure } from './measure.ts';
import {
  createEchoService,
  createExecutorService,
  createPayload,
  expectedReply,
  type Mode,
} from './service.ts';
import type { RpcClient } from './transport.ts';
import { LIMIT, loadTransport, OURS, type TransportName } from './transports.ts';

interface MeasureQuestion extends MeasureOptions {
  readonly payloadBytes: number;
}

export type PeerQuestions = {
  /** Answered with what `connect` of the other end takes. */
  readonly serve: { readonly ask: null; readonly answer: string };
  readonly connect: { readonly ask: { readonly address: string }; readonly answer: null };
  /** Fails when the answer to a payload is not, byte for byte, the right one. */
  readonly check: { readonly ask: { readonly payloadBytes: number }; readonly answer: null };
  readonly measure: { readonly ask: MeasureQuestion; readonly answer: Measurement };
  /** CPU microseconds of the process since it began. */
  readonly cpu: { readonly ask: null; readonly answer: number };
};

const [transportName, mode, modelFile] = process.argv.slice(2) as [
  TransportName,
  Mode,
  string | undefined,
];
const transport = await loadTransport(transportName);
const payloads = new Map<number, { payload: Buffer; expected: Buffer }>();
const closing: (() => Promise<void>)[] = [];
let client: RpcClient | undefined;

answerQuestions<PeerQuestions>(
  {
    async serve() {
      // As a node does, and for the limit too; whoever uses the others has Node as it comes.
      if (transportName === OURS || transportName === LIMIT) tuneGarbageCollection();
      const service =
        mode === 'echo' || modelFile === undefined
          ? createEchoService()
          : await createExecutorService(path.dirname(modelFile), path.basename(modelFile));
      closing.push(async () => service.close());
      const server = await transport.serve(service);
      closing.push(async () => server.close());
      return server.address;
    },
    async connect({ address }) {
      client = await transport.connect(address);
      closing.push(async () => client?.close());
      return null;
    },
    async check({ payloadBytes }) {
      const { payload, expected } = exchange(payloadBytes);
      const reply = await connected().call(payload);
      if (Buffer.compare(expected, reply) === 0) return null;
      throw new Error(`answer to ${payloadBytes} bytes differs from what was expected`);
    },
    async measure({ payloadBytes, ...options }) {
      const { payload, expected } = exchange(payloadBytes);
      return measure(connected(), payload, expected.byteLength, options);
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

function connected(): RpcClient {
  if (client === undefined) throw new Error('expected connect before the first call');
  return client;
}

function exchange(payloadBytes: number): { payload: Buffer; expected: Buffer } {
  let made = payloads.get(payloadBytes);
  if (made === undefined) {
    const payload = createPayload(payloadBytes);
    made = { payload, expected: expectedReply(mode, payload) };
    payloads.set(payloadBytes, made);
  }
  return made;
}
