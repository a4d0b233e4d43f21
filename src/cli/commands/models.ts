import { formatBytes } from '../../../protocols/byte-size.ts';
import { type Manifest, manifestBytes } from '../../../protocols/manifest/index.ts';
import type { ModelRef } from '../../../protocols/reference.ts';
import { formatShape } from '../../../protocols/tensor.ts';
import type { TensorSpec } from '../../../protocols/types.ts';
import type { ResolvedModel } from '../../client/model-resolver.ts';
import type { ReplicaView } from '../../swarm/view.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { deploymentFacts } from '../deployment-facts.ts';
import { EXIT } from '../exit-code.ts';
import { printable, shortId } from '../printable.ts';
import { resolveModelRef } from '../publisher-names.ts';
import { joinSwarm } from '../swarm-join.ts';
import { channelsOf, findHeldVersions, type HeldVersion, surveySwarm } from '../swarm-survey.ts';
import { printPairs, printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { isSearch, runModelsSearch } from './models-search.ts';

/** `swarm models ls`: every version that some node holds, or the released models that match a search. */
export async function runModelsList(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  if (isSearch(options)) return runModelsSearch(context, options);
  const { terminal, settings } = context;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(settings.deadlineMs)]);
  await using swarm = await joinSwarm(context);
  const survey = await surveySwarm(swarm.peer, signal);
  const versions = await findHeldVersions(swarm.peer, survey, signal);
  for (const version of versions) terminal.event(modelEvent(version));
  printModels(terminal, versions);
  if (versions.length === 0) {
    terminal.note(
      `no node of network '${settings.network}' holds a model (nodes: ${survey.nodes.length})`,
    );
  }
  return EXIT.ok;
}

/** `swarm models show`: what a reference means now, what it takes and gives, and where it is. */
export async function runModelsShow(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal, signal } = context;
  const ref = await resolveModelRef(context, String(options['ref']));
  await using swarm = await joinSwarm(context);
  const { client, peer } = swarm;
  const model = await client.resolve(ref, { signal });
  const manifest = await client.manifest(ref, { signal });
  const replicas = peer.view.holders(model.cid, Date.now());
  const record = peer.releases.cached(ref.publisher, ref.name)?.record;
  const channels = channelsOf(record, model.cid) ?? [];
  if (terminal.json) {
    terminal.event({
      event: 'model',
      publisher: model.publisher,
      name: model.name,
      version: model.cid,
      sequence: model.sequence,
      channels,
      golden: manifest.golden?.file ?? null,
      manifest: {
        ...manifest,
        files: manifest.files.map((file) => ({
          ...file,
          sha256: Buffer.from(file.sha256).toString('hex'),
        })),
      },
      nodes: replicas.map(replicaFacts),
    });
  } else {
    printModel(terminal, ref, model, channels, manifest);
    printReplicas(terminal, replicas);
  }
  return EXIT.ok;
}

function modelEvent({ publisher, name, cid, channels, replicas }: HeldVersion) {
  const states = replicas.map(({ version }) => version.state);
  return {
    event: 'model',
    publisher,
    name,
    version: cid,
    channels: channels ?? null,
    ready: states.filter((state) => state === 'ready').length,
    loading: states.filter((state) => state === 'loading').length,
    nodes: replicas.map(replicaFacts),
  };
}

function replicaFacts({ node, version }: ReplicaView) {
  const { state, load, etaMs, note } = version;
  return { node: node.announcement.node, state, load, etaMs: etaMs ?? null, note: note ?? null };
}

/** A table for each publisher, whose id stands above it whole: it is the part of a reference that is copied. */
function printModels(terminal: Terminal, versions: readonly HeldVersion[]): void {
  const publishers = new Set(versions.map(({ publisher }) => publisher));
  for (const publisher of publishers) {
    terminal.print(`${terminal.style('dim', 'publisher')} ${terminal.style('strong', publisher)}`);
    const rows = versions
      .filter((version) => version.publisher === publisher)
      .map((version) => {
        const { ready, loading } = modelEvent(version);
        const waiting = version.replicas.reduce(
          (sum, { version: { load } }) => sum + load.inFlight + load.queued,
          0,
        );
        return [
          printable(version.name, 64),
          version.channels?.map((channel) => printable(channel, 64)).join(' ') || '-',
          shortId(version.cid),
          String(ready),
          String(loading),
          String(waiting),
        ];
      });
    printTable(terminal, ['MODEL', 'CHANNEL', 'VERSION', 'READY', 'LOADING', 'REQUESTS'], rows, {
      right: [3, 4, 5],
      indent: 2,
    });
  }
}

function printModel(
  terminal: Terminal,
  ref: ModelRef,
  model: ResolvedModel,
  channels: readonly string[],
  manifest: Manifest,
): void {
  const { metadata, deployment, answer, preprocessing, files } = manifest;
  const facts: (readonly [string, string | undefined])[] = [
    ['version', model.cid],
    ['channels', channels.join(' ') || undefined],
    ['sequence', model.sequence === 0 ? undefined : String(model.sequence)],
    ['task', metadata.task],
    ['description', metadata.description],
    ['licence', metadata.licence],
    ['source', metadata.source],
    ['size', formatBytes(manifestBytes(manifest))],
    ['labels', labelsOf(metadata)],
    ['model card', metadata.modelCard],
    ['golden vectors', goldenOf(manifest)],
    ['tolerance', toleranceOf(manifest)],
    ...deploymentFacts(deployment),
    ['answer', answer && `${answer.kind} of '${answer.output}'`],
    [
      'pictures',
      preprocessing &&
        `yes, as ${preprocessing.width} × ${preprocessing.height} ${preprocessing.channels} for '${preprocessing.input}'`,
    ],
  ];
  terminal.print(terminal.style('strong', `${ref.publisher}/${ref.name}`));
  printPairs(
    terminal,
    facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, printable(value, 2048)]])),
  );
  printTensors(terminal, 'INPUT', manifest.inputs);
  printTensors(terminal, 'OUTPUT', manifest.outputs);
  terminal.print('');
  printTable(
    terminal,
    ['FILE', 'SIZE', 'SHA256'],
    files.map(({ path, size, sha256 }) => [
      path === manifest.entry ? `${printable(path)} *` : printable(path),
      formatBytes(size),
      Buffer.from(sha256).toString('hex'),
    ]),
    { right: [1], indent: 2 },
  );
}

function labelsOf({ labels = {} }: Manifest['metadata']): string | undefined {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return pairs.join(' ') || undefined;
}

/** What was published without them is to be seen: nobody has checked its answers. */
function goldenOf({ golden, files }: Manifest): string {
  if (golden === undefined) return 'none: published with --no-golden, no node checks its answers';
  const size = files.find(({ path }) => path === golden.file)?.size ?? 0;
  return `${golden.file} (${formatBytes(size)}), checked by each node before it serves`;
}

function toleranceOf({ tolerance }: Manifest): string | undefined {
  return tolerance && `${tolerance.absolute} absolute, ${tolerance.relative} relative`;
}

function printTensors(terminal: Terminal, title: string, specs: readonly TensorSpec[]): void {
  terminal.print('');
  printTable(
    terminal,
    [title, 'DATATYPE', 'SHAPE'],
    specs.map(({ name, datatype, shape }) => [
      printable(name, 128),
      datatype,
      printable(formatShape(shape)),
    ]),
    { indent: 2 },
  );
}

function printReplicas(terminal: Terminal, replicas: readonly ReplicaView[]): void {
  terminal.print('');
  if (replicas.length === 0) return terminal.print('  no node is known to hold it');
  printTable(
    terminal,
    ['NODE', 'ZONE', 'STATE', 'IN FLIGHT', 'QUEUED', 'NOTE'],
    replicas.map(({ node: { announcement }, version: { state, load, note } }) => [
      announcement.node,
      printable(announcement.zone, 64) || '-',
      state,
      String(load.inFlight),
      String(load.queued),
      printable(note ?? '-', 100),
    ]),
    { right: [3, 4], indent: 2 },
  );
}
