/** One end of a comparison, in a process of its own: `peer.ts <server | client> <transport> <mode> [model file]`. */
import path from 'node:path';
import { type Measurement, type MeasureOptions, measure } from './measure.ts';
import {
  createEchoService,
  createExecutorService,
  createPayload,
  expectedReply,
  type Mode,
} from './service.ts';
import { loadTransport, type RpcClient, type Transport, type TransportName } from './transport.ts';

/** What the benchmark asks of a process; each is answered once, in turn. */
export type PeerRequest =
  | { readonly do: 'serve' }
  | { readonly do: 'connect'; readonly address: string }
  | { readonly do: 'check'; readonly payloadBytes: number }
  | ({ readonly do: 'measure'; readonly payloadBytes: number } & MeasureOptions)
  | { readonly do: 'cpu' }
  | { readonly do: 'stop' };

export type PeerReply =
  | { readonly value: string | Measurement | number | null }
  | { readonly error: string };

const [, , , transportName, mode, modelFile] = process.argv as [
  string,
  string,
  'server' | 'client',
  TransportName,
  Mode,
  string | undefined,
];
const transport: Transport = await loadTransport(transportName);
const payloads = new Map<number, { payload: Buffer; expected: Buffer }>();
const closing: (() => Promise<void>)[] = [];
let client: RpcClient | undefined;

process.on('message', (request: PeerRequest) => {
  act(request).then(
    (value) => answer({ value }, request.do === 'stop'),
    (error: Error) => answer({ error: error.stack ?? String(error) }, false),
  );
});
// The benchmark is gone, however it ended.
process.on('disconnect', () => process.exit(1));
answer({ value: null }, false);

function answer(reply: PeerReply, last: boolean): void {
  process.send?.(reply, () => {
    if (last) process.exit(0);
  });
}

async function act(request: PeerRequest): Promise<string | Measurement | number | null> {
  switch (request.do) {
    case 'serve':
      return serve();
    case 'connect':
      client = await transport.connect(request.address);
      closing.push(async () => client?.close());
      return null;
    case 'check': {
      const { payload, expected } = exchange(request.payloadBytes);
      const reply = await connected().call(payload);
      if (Buffer.compare(expected, reply) === 0) return null;
      throw new Error(`answer to ${request.payloadBytes} bytes differs from what was expected`);
    }
    case 'measure': {
      const { payload, expected } = exchange(request.payloadBytes);
      return measure(connected(), payload, expected.byteLength, request);
    }
    case 'cpu': {
      const { user, system } = process.cpuUsage();
      return user + system;
    }
    case 'stop':
      for (const close of closing.toReversed()) await close();
      return null;
  }
}

async function serve(): Promise<string> {
  const service =
    mode === 'echo' || modelFile === undefined
      ? createEchoService()
      : await createExecutorService(path.dirname(modelFile), path.basename(modelFile));
  closing.push(async () => service.close());
  const server = await transport.serve(service);
  closing.push(async () => server.close());
  return server.address;
}

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
