import { setTimeout as sleep } from 'node:timers/promises';
import { DeadlineError, isSwarmError } from '../../../protocols/errors.ts';
import type { Tensor } from '../../../protocols/tensor.ts';
import { readAnswers } from '../../client/answer-reader.ts';
import type { SwarmClient } from '../../client/client.ts';
import { KeptReleases } from '../kept-releases.ts';
import {
  type BundledInput,
  type BundledModel,
  readBundledInput,
  readHeldoutSet,
} from './bundled-models.ts';
import { type Publication, publishBundledModel } from './demo-publication.ts';
import { type LoadRequest, runFailover } from './failover.ts';
import type { LocalSwarm } from './local-swarm.ts';
import type { UpReport } from './up-report.ts';

/** How often is looked whether the news of a node or a replica has arrived. */
const POLL_MS = 50;

/** How long news may take on one machine: an announcement is repeated every two seconds. */
const NEWS_TIMEOUT_MS = 20_000;

export interface DemoInit {
  readonly swarm: LocalSwarm;
  readonly nodes: number;
  readonly client: SwarmClient;
  readonly models: readonly BundledModel[];
  readonly report: UpReport;
  readonly signal: AbortSignal;
}

export interface DemoOutcome {
  readonly publications: readonly Publication[];
  readonly requests: number;
  readonly failed: number;
  /** True when no request failed, no answer changed, and each model of the killed node found another. */
  readonly ok: boolean;
}

/** Publishes the bundled models side by side, runs them on real inputs, then kills a node under load. */
export async function runDemo(init: DemoInit): Promise<DemoOutcome> {
  const { report, signal } = init;
  const publications = await publishAll(init);
  report.published(publications);
  const counts = { requests: 0, failed: 0 };
  const load: LoadRequest[] = [];
  for (const publication of publications) {
    load.push(...(await runInputs(init, publication, counts)));
    await runHeldout(init, publication, counts);
  }
  report.killing();
  const failover = await runFailover(init.client, load, {
    kill: async (node) => {
      await init.swarm.kill(init.swarm.nameOf(node));
      report.killed(node);
    },
    signal,
  });
  report.failover(failover);
  const { tally } = failover;
  const failed = counts.failed + tally.failed;
  return {
    publications,
    requests: counts.requests + tally.requests,
    failed,
    ok: failed === 0 && tally.changed === 0 && tally.takeovers().every(({ by }) => by.length > 0),
  };
}

async function publishAll({
  swarm,
  nodes,
  client,
  models,
  signal,
}: DemoInit): Promise<Publication[]> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(NEWS_TIMEOUT_MS)]);
  await untilTrue(
    `all ${nodes} nodes are known to the bootstrap server`,
    async () => (await client.nodes({ signal: bounded })).length >= nodes,
    signal,
  );
  const key = await swarm.publisherKey();
  const kept = new KeptReleases(swarm.folder);
  const publications = await Promise.all(
    models.map((model) =>
      publishBundledModel(model, {
        network: swarm.network,
        bootstrap: swarm.bootstrapAddress,
        key,
        kept,
        nodes,
        signal,
      }),
    ),
  );
  // READY was said to the publisher; the client hears it from the announcements.
  for (const { cid, replicas, reference } of publications) {
    await untilTrue(
      `the replicas of ${reference} are announced`,
      async () => {
        await client.replicas({ signal: bounded });
        return client.ready(cid).length >= replicas.length;
      },
      signal,
    );
  }
  return publications;
}

/** Runs a model on all its inputs, as many at a time as it has replicas, and returns them as load for later. */
async function runInputs(
  { client, report, signal }: DemoInit,
  publication: Publication,
  counts: { requests: number; failed: number },
): Promise<LoadRequest[]> {
  const { reference, manifest, model } = publication;
  const run = async (input: BundledInput) => {
    const inputs = await readBundledInput(input, manifest);
    counts.requests += 1;
    try {
      const { outputs, node, latencyMs } = await client.infer(reference, inputs, { signal });
      const [found] = readAnswers(manifest, outputs);
      const text = found?.text ?? '';
      const answer = {
        input,
        text,
        confidence: found?.confidence ?? null,
        ranked: found?.ranked?.map(({ label }) => label),
        node,
        latencyMs,
      };
      report.answered(publication, answer);
      return [{ answer, load: { publication, inputs, answer: text } }];
    } catch (error) {
      if (signal.aborted || !isSwarmError(error)) throw error;
      counts.failed += 1;
      report.failed(publication, input.name, error);
      return [];
    }
  };
  const found = await mapAtMost(publication.replicas.length, model.inputs, run);
  report.results(
    publication,
    found.flat().map(({ answer }) => answer),
  );
  return found.flat().map(({ load }) => load);
}

/** Runs a model on its held-out set, one batched request, and tells how often it was right. */
async function runHeldout(
  { client, report, signal }: DemoInit,
  publication: Publication,
  counts: { requests: number; failed: number },
): Promise<void> {
  const { reference, manifest, model } = publication;
  if (model.heldoutFile === undefined) return;
  const { inputs, expected } = await readHeldoutSet(model.heldoutFile, manifest);
  counts.requests += 1;
  let outputs: Readonly<Record<string, Tensor>>;
  try {
    ({ outputs } = await client.infer(reference, inputs, { signal }));
  } catch (error) {
    if (signal.aborted || !isSwarmError(error)) throw error;
    counts.failed += 1;
    return report.failed(publication, 'the held-out set', error);
  }
  const right = readAnswers(manifest, outputs).filter(({ text }, row) => text === expected[row]);
  report.accuracy(publication, { right: right.length, rows: expected.length });
}

/** `Promise.all` over a map, with no more than `limit` under way. */
async function mapAtMost<T, R>(
  limit: number,
  items: readonly T[],
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await map(item);
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}

/**
 * Waits until a condition holds.
 *
 * @throws {ERR_DEADLINE} when it does not within {@link NEWS_TIMEOUT_MS}.
 */
async function untilTrue(
  what: string,
  holds: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + NEWS_TIMEOUT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new DeadlineError(`expected within ${NEWS_TIMEOUT_MS} ms: ${what}`, 'start');
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}
