import { formatLabelFile } from '../import/label-file.ts';
import { tritonDatatype } from '../import/triton-datatype.ts';
import { TRITON_MODEL_FILE } from '../import/triton-repository.ts';
import { GPU_PROVIDERS, TRITON_GRAPH_LEVELS } from '../import/triton-settings.ts';
import type { GraphValue, OnnxGraph, TensorValue } from '../onnx-graph.ts';
import type { PackageSettings } from '../package-file.ts';
import { TextWriter } from './text-writer.ts';

/** The labels file of an exported model. */
export const LABEL_FILE_NAME = 'labels.txt';

/** A package as Triton's configuration of it. */
export interface TritonDescription {
  readonly config: string;
  /** Text of {@link LABEL_FILE_NAME}; undefined when no labels are exported. */
  readonly labels: string | undefined;
  /** What the configuration cannot say, in sentences. */
  readonly notes: readonly string[];
}

type Deployment = NonNullable<PackageSettings['deployment']>;

/**
 * Describes a package for Triton. A setting is written only where the import reads it back as it was, so that a model which
 * goes there and back is the same version. Pure.
 */
export function describeForTriton(
  entry: string,
  graph: OnnxGraph,
  settings: PackageSettings,
): TritonDescription {
  const { deployment = {} } = settings;
  const writer = new TextWriter();
  const said = new Set<string>();
  const notes: string[] = [];
  writer.comment("A model of a swarm: 'swarm models import' takes this folder back.");
  writer.text('backend', 'onnxruntime');
  if (entry !== TRITON_MODEL_FILE) writer.text('default_model_filename', entry);
  const batched = writeBatchSize(writer, graph, deployment, said);
  const labels = exportedLabels(graph, settings, said);
  writeTensors(writer, 'input', graph.inputs, { batched, notes });
  const output = labels === undefined ? undefined : settings.answer?.output;
  writeTensors(writer, 'output', graph.outputs, { batched, notes, labelled: output });
  if (batched) writeBatching(writer, deployment, said);
  writeInstances(writer, deployment, said);
  writeOptimization(writer, deployment, said);
  writeParameters(writer, deployment, said);
  const unsaid = fieldsOf(settings).filter((field) => !said.has(field));
  if (unsaid.length > 0) {
    notes.push(`Triton's configuration does not say ${unsaid.join(', ')}; swarm.json still does`);
  }
  return { config: writer.finish(), labels, notes };
}

/** True when dimensions are written without the one that counts rows. */
function writeBatchSize(
  writer: TextWriter,
  graph: OnnxGraph,
  { maxBatch, batchDimension = 0 }: Deployment,
  said: Set<string>,
): boolean {
  if (maxBatch === undefined) return false;
  if (maxBatch === 1) {
    writer.word('max_batch_size', 0);
    said.add('deployment.maxBatch');
    return false;
  }
  const tensors = [...tensorsOf(graph.inputs), ...tensorsOf(graph.outputs)];
  const free = tensors.every(
    ({ ranked, shape: [first] }) => ranked && first !== undefined && typeof first !== 'number',
  );
  if (batchDimension !== 0 || !free) return false;
  writer.word('max_batch_size', maxBatch);
  said.add('deployment.maxBatch');
  return true;
}

function writeTensors(
  writer: TextWriter,
  side: 'input' | 'output',
  values: readonly GraphValue[],
  {
    batched,
    notes,
    labelled,
  }: { batched: boolean; notes: string[]; labelled?: string | undefined },
): void {
  writer.messages(side, tensorsOf(values), ({ name, datatype, shape, ranked }) => {
    writer.text('name', name);
    writer.word('data_type', tritonDatatype(datatype));
    const dims = shape
      .map((dimension) => (typeof dimension === 'number' ? dimension : -1))
      .slice(batched ? 1 : 0);
    if (dims.includes(0))
      notes.push(`${side} '${name}' has a dimension of 0, which Triton refuses`);
    if (!ranked)
      notes.push(`${side} '${name}' declares no shape, fill in its dims before Triton loads it`);
    else if (dims.length > 0) writer.numbers('dims', dims);
    else {
      // Triton has no scalars: one element, and a reshape to none.
      writer.numbers('dims', [1]);
      writer.message('reshape', () => writer.word('shape', '[ ]'));
    }
    if (name === labelled) writer.text('label_filename', LABEL_FILE_NAME);
  });
}

function writeBatching(writer: TextWriter, deployment: Deployment, said: Set<string>): void {
  const { maxBatchDelayMs: delayMs, maxQueued } = deployment;
  const delayUs = Math.round((delayMs ?? 0) * 1000);
  writer.message('dynamic_batching', () => {
    if (delayUs > 0 && delayUs / 1000 === delayMs) {
      writer.word('max_queue_delay_microseconds', delayUs);
      said.add('deployment.maxBatchDelayMs');
    }
    if (maxQueued === undefined) return;
    writer.message('default_queue_policy', () => writer.word('max_queue_size', maxQueued));
    said.add('deployment.maxQueued');
  });
}

function writeInstances(writer: TextWriter, { providers }: Deployment, said: Set<string>): void {
  const list = providers?.join(' ');
  const gpu = list === 'cuda' || list === GPU_PROVIDERS.join(' ');
  if (list !== 'cpu' && !gpu) return;
  const kind = gpu ? 'KIND_GPU' : 'KIND_CPU';
  writer.messages('instance_group', [kind], () => writer.word('kind', kind));
  said.add('deployment.providers');
}

function writeOptimization(
  writer: TextWriter,
  { providers, session }: Deployment,
  said: Set<string>,
): void {
  const list = providers?.join(' ');
  const cuda = list === 'cuda' || list === 'cuda cpu';
  const level = session?.graphOptimizationLevel;
  const graph = level === 'basic' || level === 'extended' || level === 'disabled';
  if (!cuda && !graph) return;
  writer.message('optimization', () => {
    if (graph) {
      writer.message('graph', () => writer.word('level', TRITON_GRAPH_LEVELS[level]));
      said.add('deployment.session.graphOptimizationLevel');
    }
    if (!cuda) return;
    writer.message('execution_accelerators', () => {
      writer.messages('gpu_execution_accelerator', ['cuda'], (name) => writer.text('name', name));
    });
    said.add('deployment.providers');
  });
}

function writeParameters(
  writer: TextWriter,
  { session: { intraOpThreads, memoryPattern } = {} }: Deployment,
  said: Set<string>,
): void {
  const pattern = memoryPattern === undefined ? undefined : String(Number(memoryPattern));
  const parameters = [
    ['intra_op_thread_count', intraOpThreads?.toString(), 'intraOpThreads'],
    ['enable_mem_pattern', pattern, 'memoryPattern'],
  ] as const;
  for (const [key, value, field] of parameters) {
    if (value === undefined) continue;
    writer.message('parameters', () => {
      writer.text('key', key);
      writer.message('value', () => writer.text('string_value', value));
    });
    said.add(`deployment.session.${field}`);
  }
}

/** Labels that Triton gives to the classes of one output, when they are such. */
function exportedLabels(
  graph: OnnxGraph,
  { classLabels, answer }: PackageSettings,
  said: Set<string>,
): string | undefined {
  if (classLabels === undefined || answer?.kind !== 'argmax') return undefined;
  const output = tensorsOf(graph.outputs).find(({ name }) => name === answer.output);
  const classes = output?.shape.at(-1);
  if (output === undefined || (typeof classes === 'number' && classes !== classLabels.length))
    return undefined;
  const text = formatLabelFile(classLabels);
  if (text === undefined) return undefined;
  said.add('classLabels').add('answer');
  return text;
}

function tensorsOf(values: readonly GraphValue[]): TensorValue[] {
  return values.filter((value): value is TensorValue => value.kind === 'tensor');
}

/** Paths of what settings say: of deployment and session each field, of the others the whole. */
function fieldsOf(settings: PackageSettings): string[] {
  const { entry: _file, deployment = {}, ...others } = settings;
  const { session = {}, ...fields } = deployment;
  return [
    ...Object.keys(others),
    ...Object.keys(fields).map((field) => `deployment.${field}`),
    ...Object.keys(session).map((field) => `deployment.session.${field}`),
  ];
}
