/** Callers in one process: each sends when it was answered, over connections that stay. */
import { Agent, request } from 'node:http';
import { Client, credentials } from '@grpc/grpc-js';
import { type Measurement, measure } from '../rpc/measure.ts';
import { answerQuestions } from '../worker.ts';
import { type Asked, bodyOf, messageOf, X_BYTES } from './request.ts';

export interface Load extends Asked {
  readonly callers: number;
  readonly seconds: number;
}

export type LoadQuestions = {
  readonly load: { readonly ask: Load; readonly answer: Measurement };
  /** The bytes of one answer, its numbers looked at. */
  readonly once: { readonly ask: Asked; readonly answer: number };
};

const agent = new Agent({ keepAlive: true });

function httpCaller({ address, form }: Asked): () => Promise<Buffer> {
  const { body, headers } = bodyOf(form);
  return async () =>
    new Promise((resolve, reject) => {
      const all = { ...headers, 'content-length': String(body.byteLength) };
      const sent = request(address, { method: 'POST', agent, headers: all }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const answer = Buffer.concat(chunks);
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${address}: ${response.statusCode} ${answer.toString()}`));
        });
      });
      sent.once('error', reject);
      sent.end(body);
    });
}

function grpcCaller({ address, model }: Asked): {
  readonly call: () => Promise<Buffer>;
  readonly close: () => void;
} {
  const { path, message } = messageOf(model);
  const client = new Client(address, credentials.createInsecure());
  const asIs = (bytes: Buffer): Buffer => bytes;
  return {
    close: () => client.close(),
    call: async () =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, asIs, asIs, message, (error, reply) =>
          reply === undefined ? reject(error ?? new Error('no answer')) : resolve(reply),
        );
      }),
  };
}

/** Calls of one form; each answer is looked at for its length. */
async function withCaller<T>(
  asked: Asked,
  use: (call: () => Promise<Buffer>) => Promise<T>,
): Promise<T> {
  const grpc = asked.form === 'grpc' ? grpcCaller(asked) : undefined;
  const call = grpc?.call ?? httpCaller(asked);
  // Of text, answers to the same row may differ in length: that each has the numbers of a row is looked at here.
  const checked = async (): Promise<Buffer> => {
    const answer = await call();
    if (answer.byteLength >= X_BYTES.byteLength) return answer;
    throw new Error(
      `${asked.address}: answer has ${answer.byteLength} bytes, expected at least ${X_BYTES.byteLength}`,
    );
  };
  try {
    return await use(checked);
  } finally {
    grpc?.close();
  }
}

answerQuestions<LoadQuestions>(
  {
    load: async (asked) =>
      withCaller(asked, async (call) => {
        const { callers: inFlight, seconds } = asked;
        const counted = { call: async () => call().then(() => X_BYTES) };
        return measure(counted, X_BYTES, X_BYTES.byteLength, { inFlight, seconds });
      }),
    once: async (asked) => withCaller(asked, async (call) => (await call()).byteLength),
  },
  async () => agent.destroy(),
);
