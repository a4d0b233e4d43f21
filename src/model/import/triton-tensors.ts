import { quoted } from '../../../protocols/quoted.ts';
import { formatShape } from '../../../protocols/tensor.ts';
import type { DeclaredDimension } from '../../../protocols/types.ts';
import type { GraphValue, OnnxGraph } from '../onnx-graph.ts';
import type { ConfigMessage } from './config-message.ts';
import { TRITON_DATATYPES, tritonDatatype } from './triton-datatype.ts';

/** `-1` is free; Triton has no dimension of 0. */
const DIMENSION = { min: -1, max: Number.MAX_SAFE_INTEGER };

/** A labels file that an output names. */
export interface LabelReference {
  readonly output: string;
  readonly file: string;
  /** The message of that output, for errors. */
  readonly config: ConfigMessage;
}

export interface TritonTensors {
  readonly labels: readonly LabelReference[];
  readonly notes: readonly string[];
}

/**
 * Holds a configuration's inputs and outputs against the graph's. Nothing of them is taken over, for a version's tensors are
 * the graph's; what contradicts the graph would make callers send what the model refuses.
 *
 * @throws {ERR_INVALID_MODEL} that names the field, what was expected by the graph and what was found.
 */
export function checkTritonTensors(
  config: ConfigMessage,
  graph: OnnxGraph,
  maxBatchSize: number,
): TritonTensors {
  const notes: string[] = [];
  const labels: LabelReference[] = [];
  const inputs = checkSide('input', config, graph.inputs, maxBatchSize, notes);
  for (const { name } of graph.inputs) {
    if (inputs.size === 0 || inputs.has(name)) continue;
    throw config.fault('input', `lacks ${quoted(name)}, which the model takes`);
  }
  const outputs = checkSide('output', config, graph.outputs, maxBatchSize, notes);
  for (const [output, message] of outputs) {
    const file = message.text('label_filename');
    if (file !== undefined && file !== '') labels.push({ output, file, config: message });
  }
  const unlisted = graph.outputs.filter(
    ({ kind, name }) => kind === 'tensor' && outputs.size > 0 && !outputs.has(name),
  );
  for (const { name } of unlisted) {
    notes.push(`output ${quoted(name)} is not in the configuration; requests can ask for it here`);
  }
  return { labels, notes };
}

function checkSide(
  side: 'input' | 'output',
  config: ConfigMessage,
  values: readonly GraphValue[],
  maxBatchSize: number,
  notes: string[],
): Map<string, ConfigMessage> {
  const found = new Map<string, ConfigMessage>();
  for (const message of config.messages(side)) {
    const name = message.text('name') ?? '';
    if (found.has(name)) throw message.fault('name', `${quoted(name)} is given twice`);
    found.set(name, message);
    const value = values.find((candidate) => candidate.name === name);
    if (value === undefined) {
      const names = values.map((candidate) => quoted(candidate.name)).join(', ') || 'none';
      throw message.fault(
        'name',
        `expected an ${side} of the model (${names}), found ${quoted(name)}`,
      );
    }
    checkTensor(side, message, value, maxBatchSize, notes);
  }
  return found;
}

function checkTensor(
  side: 'input' | 'output',
  message: ConfigMessage,
  value: GraphValue,
  maxBatchSize: number,
  notes: string[],
): void {
  const type = message.choice('data_type', TRITON_DATATYPES) ?? 'TYPE_INVALID';
  const dims = message.integers('dims', DIMENSION);
  const reshaped = message.message('reshape')?.integers('shape', DIMENSION);
  // Left out of every answer, which is told of the model itself.
  if (value.kind === 'unsupported') return;
  const expected = tritonDatatype(value.datatype);
  if (type !== 'TYPE_INVALID' && type !== expected) {
    throw message.fault('data_type', `expected ${expected}, which the model has, found ${type}`);
  }
  if (!value.ranked || !message.has('dims')) return;
  const field = reshaped === undefined ? 'dims' : 'reshape';
  checkDimensions(message, field, value.shape, reshaped ?? dims, maxBatchSize);
  if (reshaped !== undefined) {
    const verb = side === 'input' ? 'send' : 'get';
    notes.push(
      `${side} ${quoted(value.name)}: callers ${verb} ${formatShape(value.shape)}, the model's own shape, for nothing reshapes it here`,
    );
  }
}

/** With a batch size Triton's dims leave the first dimension of the graph out, which must then be free. */
function checkDimensions(
  message: ConfigMessage,
  field: string,
  shape: readonly DeclaredDimension[],
  dims: readonly number[],
  maxBatchSize: number,
): void {
  const [first] = shape;
  if (maxBatchSize > 0 && (first === undefined || typeof first === 'number')) {
    throw message.fault(
      field,
      `max_batch_size ${maxBatchSize} needs a free first dimension, the model has ${formatShape(shape)}`,
    );
  }
  const expected = maxBatchSize > 0 ? shape.slice(1) : shape;
  const agrees =
    dims.length === expected.length &&
    // A free dimension of the model may be narrowed; a fixed one cannot be widened.
    expected.every(
      (dimension, index) => typeof dimension !== 'number' || dimension === dims[index],
    );
  if (agrees) return;
  const without = maxBatchSize > 0 ? ' without the batch dimension' : '';
  throw message.fault(
    field,
    `expected ${formatShape(expected)}, which the model has${without}, found [${dims.join(', ')}]`,
  );
}
