import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { digestOfCid, digestText } from '../../protocols/digest.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import type { Tensor } from '../../protocols/tensor.ts';
import { type PublishResult, publishVersion } from '../../src/client/publisher.ts';
import type { SwarmClient } from '../../src/index.ts';
import { packModel } from '../../src/model/package.ts';
import { BAD_MODEL_ANSWERS, badModelInputs, badModelsThatAre } from '../support/bad-models.ts';
import { Bystander } from '../support/bystander.ts';
import { checkSample } from '../support/library-samples.ts';
import {
  type BadModel,
  type LibraryModel,
  type LibraryTensors,
  libraryModels,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../support/model-library.ts';
import { present } from '../support/present.ts';
import { ProtobufWriter } from '../support/protobuf-writer.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** Milliseconds a publication may take: models' processes start slowly when five do at once on two cores. */
const PUBLISH_LIMIT_MS = 55_000;

/** Milliseconds one run may take on a node: the slow ones of the library end in time, the endless one does not. */
const EXECUTION_LIMIT_MS = 5_000;

/** Real models and bad ones, by way of the whole swarm: packed, placed on a node, released, asked for by a client. */
describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined)(
  `The model library (${MODEL_LIBRARY_ABSENT ?? 'present'})`,
  () => {
    let testnet: Testnet;
    let client: SwarmClient;
    let bystander: Bystander;

    beforeAll(async () => {
      testnet = await createTestnet({
        nodes: 2,
        clients: 1,
        // A lease is three intervals: machines this busy speak late, and these nodes hold dozens of versions to tell of.
        node: { executionLimitMs: EXECUTION_LIMIT_MS, announceIntervalMs: 5_000 },
      });
      client = present(testnet.clients[0]);
      bystander = await Bystander.start(testnet);
    });
    afterAll(() => testnet?.[Symbol.asyncDispose]());

    const publish = async (name: string, folder: string, { files, file }: PublishedFiles) => {
      const entry = path.basename(file);
      const further = files.filter(({ path: other }) => other !== entry);
      const contents = further.map(
        async ({ path: other }) => [other, await readFile(path.join(folder, other))] as const,
      );
      return testnet.publish(await readFile(path.join(folder, entry)), {
        name,
        files: Object.fromEntries(await Promise.all(contents)),
        replicas: 1,
        signal: AbortSignal.timeout(PUBLISH_LIMIT_MS),
      });
    };
    const publishBad = async (bad: BadModel) =>
      publish(bad.name, path.join(MODEL_LIBRARY, 'bad', path.dirname(bad.file)), bad);

    const inferBad = async (bad: BadModel, published: PublishResult, feeds?: LibraryTensors) => {
      const reference = `${published.publisher}/${published.name}`;
      // A node that holds dozens of versions tells of the newest a moment after its publisher has heard of it.
      const manifest = await vi.waitFor(async () => client.manifest(reference), {
        timeout: 10_000,
        interval: 200,
      });
      const inputs = badModelInputs(bad, manifest.inputs, feeds);
      const { outputs } = await client.infer(
        reference,
        Object.fromEntries(inputs.map(({ name, tensor }) => [name, tensor])),
      );
      return { outputs, manifest };
    };

    const expectUnreleased = async (name: string) => {
      const reference = `${bystander.publisher}/${name}`;
      await expect(client.resolve(reference)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    };

    describe.concurrent('of good models', () => {
      test.each(libraryModels())('$name answers right on a node that fetched it', async (model) => {
        const folder = folderOf(model);
        const { publisher, name, cid, replicas } = await publish(model.name, folder, model);
        expect(replicas).toHaveLength(1);
        for (const sample of model.samples) {
          await checkSample(
            async (inputs, outputs) => {
              const answer = await client.infer(`${publisher}/${name}`, inputs, { outputs });
              expect(answer).toMatchObject({ version: cid, sequence: 1, node: replicas[0] });
              return answer.outputs;
            },
            folder,
            sample,
          );
        }
      });
    });

    describe.concurrent('of bad models', () => {
      const [refused, anywhere] = [
        badModelsThatAre('refused').filter(({ kind }) => kind !== 'host-dependent'),
        badModelsThatAre('refused').filter(({ kind }) => kind === 'host-dependent'),
      ];

      test.each(refused)('$name is refused and not released', async (bad) => {
        const refusal = await endOf(publishBad(bad));
        expect(refusal).toEqual({
          by: REFUSED_BY_NODES.has(bad.name) ? 'nodes' : 'publisher',
          codes: ['ERR_INVALID_MODEL'],
          // Says which file or tensor and, of this host's paths, nothing.
          message: expect.stringMatching(
            /^(?=[^]*(?:model\.onnx|put '))(?![^]*(?:shared\/models|\/tmp\/))/,
          ),
        });
        await expectUnreleased(bad.name);
      });

      test.each(anywhere)(
        '$name is refused, or released where a node has what it asks for',
        async (bad) => {
          const end = await endOf(publishBad(bad));
          if (end !== 'done')
            expect(end).toMatchObject({ by: 'nodes', codes: ['ERR_INVALID_MODEL'] });
        },
      );

      test.each(badModelsThatAre('damaged'))(
        '$name in place of the model it was is found out by its hash or size',
        async (bad) => {
          const folder = path.join(testnet.folder, `before-${bad.name}`);
          await mkdir(folder);
          await writeFile(path.join(folder, 'model.onnx'), await mnistOfItsOwn(bad.name));
          await using honest = await packModel(folder);
          const damaged = await readFile(path.join(MODEL_LIBRARY, 'bad', bad.file));
          const described = [honest.cid, ...honest.manifest.files.map(({ chunks }) => chunks)].map(
            (cid) => digestText(digestOfCid(cid)),
          );
          const peer = await testnet.addPeer();
          const publishing = publishVersion(
            peer,
            {
              ...honest,
              source: {
                read: async (digest) =>
                  described.includes(digestText(digest)) ? honest.source.read(digest) : damaged,
              },
            },
            {
              name: bad.name,
              key: testnet.publisherKey,
              replicas: 1,
              signal: AbortSignal.timeout(PUBLISH_LIMIT_MS),
            },
          );
          expect(await endOf(publishing)).toMatchObject({
            by: 'nodes',
            message: expect.stringMatching(/hashes to|has \d+ bytes, expected/),
          });
          await expectUnreleased(bad.name);
        },
      );

      test.each(badModelsThatAre('served'))('$name is served right', async (bad) => {
        const published = await publishBad(bad);
        const { outputs, manifest } = await inferBad(bad, published, bad.feeds);
        const names = manifest.outputs.map(({ name }) => name);
        expect(Object.keys(outputs).toSorted()).toEqual(names.toSorted());
        BAD_MODEL_ANSWERS[bad.name]?.(outputs[names[0] ?? ''] as Tensor);
      });
    });

    describe('of models that ask for too much', () => {
      test.each(badModelsThatAre('bounded'))(
        '$name is held by limits, and serves modest input after',
        async (bad) => {
          const published = await publishBad(bad);
          const end = await endOf(inferBad(bad, published, bad.feeds));
          if (end !== 'done') {
            expect(['ERR_EXECUTION', 'ERR_LIMIT']).toContain(end.codes[0]);
          }
          if (bad.okFeeds === undefined) return;
          expect(end).not.toBe('done');
          expect(await endOf(inferBad(bad, published, bad.okFeeds))).toBe('done');
        },
      );
    });

    test('a model beside all these was answered by both nodes throughout', async () => {
      const { answers, failures } = await bystander.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()].toSorted()).toEqual(testnet.nodes.map(({ id }) => id).toSorted());
      for (const node of testnet.nodes) {
        expect(node.replicas.get(bystander.cid)?.state).toBe('ready');
      }
    });
  },
);

/** Number of `doc_string` in `ModelProto`. */
const MODEL_DOC_STRING = 6;

type PublishedFiles = Pick<LibraryModel, 'file' | 'files'>;

/** What only ONNX Runtime knows, and therefore a node; the others are refused by the publisher before anything is sent. */
const REFUSED_BY_NODES: ReadonlySet<string> = new Set([
  'unknown-op',
  'opset-too-new',
  'cycle',
  'dangling-input',
  'type-mismatch',
]);

interface Refusal {
  readonly by: 'publisher' | 'nodes';
  /** What the publisher or the nodes said, each once. */
  readonly codes: readonly string[];
  readonly message: string;
}

/** How a publication or a call ends. */
async function endOf(attempt: Promise<unknown>): Promise<Refusal | 'done'> {
  try {
    await attempt;
    return 'done';
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    const { refusals } = error.details as { refusals?: readonly { code: string }[] };
    const codes = refusals?.map(({ code }) => code) ?? [error.code];
    return {
      by: refusals === undefined ? 'publisher' : 'nodes',
      codes: [...new Set(codes)],
      message: error.message,
    };
  }
}

/** The model that the damaged ones were made of, with bytes that no node has from another version. */
async function mnistOfItsOwn(note: string): Promise<Uint8Array> {
  const mnist = present(libraryModels().find(({ name }) => name === 'mnist-cntk'));
  const bytes = await readFile(path.join(MODEL_LIBRARY, mnist.file));
  // Of a field that is there twice, protobuf takes the last.
  return new ProtobufWriter().raw(bytes).bytes(MODEL_DOC_STRING, note).finish();
}

function folderOf({ file }: LibraryModel): string {
  return path.join(MODEL_LIBRARY, path.dirname(file));
}
