/** The least that a server of models can be on Node: fastify in front of ONNX Runtime, in one process, no queue, no limits, no swarm. */
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { answerQuestions } from '../worker.ts';
import { WIDTH } from './models.ts';

export type FastifyQuestions = {
  /** Models by name, each the file; answered with the address. */
  readonly serve: { readonly ask: Readonly<Record<string, string>>; readonly answer: string };
};

interface JsonBody {
  readonly inputs: readonly { readonly data: readonly number[] }[];
}

const app = fastify({ bodyLimit: 64 * 1024 * 1024 });
const sessions = new Map<string, InferenceSession>();

async function run(model: string, values: Float32Array): Promise<Float32Array> {
  const session = sessions.get(model);
  if (session === undefined) throw new Error(`model '${model}' is unknown`);
  const shape = [values.length / WIDTH, WIDTH];
  const [y] = Object.values(await session.run({ x: new Tensor('float32', values, shape) }));
  if (y === undefined) throw new Error('expected an output, found none');
  return y.data as Float32Array;
}

answerQuestions<FastifyQuestions>(
  {
    async serve(files) {
      for (const [name, file] of Object.entries(files)) {
        const options = { executionProviders: ['cpu'], intraOpNumThreads: 1 };
        sessions.set(name, await InferenceSession.create(file, options));
      }
      app.addContentTypeParser(
        'application/octet-stream',
        { parseAs: 'buffer' },
        (_request, body, done) => done(null, body),
      );
      app.post<{ Params: { model: string } }>('/:model', async ({ params, body }, reply) => {
        if (!Buffer.isBuffer(body)) {
          const [input] = (body as JsonBody).inputs;
          const y = await run(params.model, Float32Array.from(input?.data ?? []));
          return { outputs: [{ name: 'y', data: Array.from(y) }] };
        }
        const values = new Float32Array(new Uint8Array(body).buffer);
        const { buffer, byteOffset, byteLength } = await run(params.model, values);
        void reply.header('content-type', 'application/octet-stream');
        return reply.send(Buffer.from(buffer, byteOffset, byteLength));
      });
      await app.listen({ host: '127.0.0.1', port: 0 });
      return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    },
  },
  async () => app.close(),
);
