import { once } from 'node:events';
import path from 'node:path';
import { createClient, type SwarmClient } from '../../client/client.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { type BundledModel, findBundledModels } from '../up/bundled-models.ts';
import { type DemoOutcome, runDemo } from '../up/demo.ts';
import { keepFleet } from '../up/local-fleet.ts';
import { LocalSwarm } from '../up/local-swarm.ts';
import { parseUpOptions, type UpOptions } from '../up/up-options.ts';
import { UpReport } from '../up/up-report.ts';

/** ONNX Runtime threads of one model's process: a few models on three nodes already share the cores. */
const DEFAULT_LOCAL_THREADS = 1;

const NOTHING_DONE: DemoOutcome = { publications: [], requests: 0, failed: 0, ok: true };

/** `swarm up`: a whole swarm on this machine, from its first process to the end of its last. */
export async function runUp(context: CommandContext, options: CommandOptions): Promise<number> {
  const up = parseUpOptions(options);
  const { settings, cwd, env, terminal } = context;
  const models = up.demo ? await findBundledModels() : [];
  const lost: string[] = [];
  const swarm = await LocalSwarm.create({
    nodes: up.nodes,
    network: settings.network,
    data: settings.data === undefined ? undefined : path.resolve(cwd, settings.data),
    allowPublishers: settings.allowPublisher,
    threads: settings.threads ?? DEFAULT_LOCAL_THREADS,
    env,
    onReady: (member) => report.ready(member),
    onLost: (name, why) => {
      lost.push(name);
      report.lost(name, why);
    },
  });
  const report = new UpReport(terminal, swarm);
  let outcome: DemoOutcome;
  try {
    outcome = await run(context, up, { swarm, report, models });
  } finally {
    await swarm.stop();
  }
  const { requests, failed } = outcome;
  const ok = outcome.ok && lost.length === 0;
  report.done({ ok, requests, failed });
  return ok ? EXIT.ok : EXIT.failed;
}

interface Stage {
  readonly swarm: LocalSwarm;
  readonly report: UpReport;
  readonly models: readonly BundledModel[];
}

/** Resolves when the job is done or, where it is to stay up, when it is told to end: that is how it ends well. */
async function run(
  context: CommandContext,
  up: UpOptions,
  { swarm, report, models }: Stage,
): Promise<DemoOutcome> {
  const { signal, cwd, settings } = context;
  const { nodes, demo, once: untilDone } = up;
  report.starting(nodes);
  await swarm.startBootstrap(signal);
  const joining = demo ? join(swarm) : undefined;
  // Awaited below; a node that cannot start is told first.
  joining?.catch(() => undefined);
  const ending = new AbortController();
  const until = AbortSignal.any([signal, ending.signal]);
  let fleet: Promise<void> | undefined;
  try {
    await swarm.startNodes(signal);
    report.serving(swarm.members);
    const bounds = { min: nodes, max: up.maxNodes };
    fleet = keepFleet(swarm, { ...bounds, onChange: (change) => report.resized(change) }, until);
    // Awaited below.
    fleet.catch(() => undefined);
    const client = await joining;
    const outcome =
      client === undefined
        ? NOTHING_DONE
        : await runDemo({ swarm, nodes, client, models, report, signal });
    if (!untilDone) {
      report.next(outcome.publications, cwd, settings.network);
      // The fleet ends with the signal as well, but for one that follows nothing.
      if (!signal.aborted) await Promise.all([once(signal, 'abort'), fleet]);
    }
    return outcome;
  } finally {
    ending.abort();
    await fleet?.catch(() => undefined);
    const client = await joining?.catch(() => undefined);
    await client?.close();
  }
}

async function join(swarm: LocalSwarm): Promise<SwarmClient> {
  return createClient({ network: swarm.network, bootstrap: [swarm.bootstrapAddress] });
}
