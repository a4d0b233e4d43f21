import { elementBytes } from '../../protocols/datatype.ts';
import { InvalidModelError } from '../../protocols/errors.ts';
import { MAX_BODY_BYTES, MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from '../../protocols/limits.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { elementTypeName, tensorBytes } from './element-type.ts';
import { externalNameFault, nameFault } from './model-name.ts';
import type { GraphValue, OnnxGraph, TensorInfo } from './onnx-graph.ts';
import { type ReportFault, throwFault } from './package-fault.ts';

/**
 * Operator domains that ONNX Runtime's npm package registers and that run on any host. Left out on purpose:
 * `com.microsoft.nchwc`, which only graphs that were optimised for one kind of CPU contain; `ai.onnx.training` and
 * `ai.onnx.preview.training`, which ONNX forbids in an inference graph; `ai.onnx.contrib` and all others, which need a
 * library that is not in the package.
 */
export const DEFAULT_DOMAINS: readonly string[] = ['', 'ai.onnx.ml', 'com.microsoft'];

/** They hold or name a file with code compiled for one device: neither portable nor fit to be trusted. */
const REFUSED_OPERATORS: ReadonlySet<string> = new Set([
  'com.microsoft:EPContext',
  'com.microsoft:Snpe',
]);

/** Operators that run a graph of theirs for as often as an input says: the model does not bound their running time. */
const LOOPS: ReadonlySet<string> = new Set([
  ...[':Loop', ':Scan', ':SequenceMap'],
  ...['BeamSearch', 'GreedySearch', 'Sampling', 'WhisperBeamSearch'].map(
    (type) => `com.microsoft:${type}`,
  ),
]);

/** Operators that run graphs of their own; either branch of an `If` ends by itself. */
const CONTROL_FLOW: ReadonlySet<string> = new Set([...LOOPS, ':If']);

export interface ModelLimits {
  /** Operator domains that may be used, `''` for ONNX's own. @default DEFAULT_DOMAINS */
  readonly domains?: readonly string[];
  /** Nodes, with the model's functions expanded. Creating a session of 100 000 takes 5 s. @default 200_000 */
  readonly maxNodes?: number;
  /** Graphs within graphs; ONNX Runtime itself fails between 30 and 60. @default 32 */
  readonly maxSubgraphDepth?: number;
  /** Inputs, and outputs. @default MAX_TENSORS of docs/limits.md */
  readonly maxValues?: number;
  /** UTF-8 bytes of the name of an input or output. @default MAX_NAME_BYTES of docs/limits.md */
  readonly maxNameBytes?: number;
  /** Stored tensors, those in attributes included: a graph of `maxNodes` constants passes. @default 200_000 */
  readonly maxTensors?: number;
  /** Files of external data. Exporters that write a file per tensor make some hundreds. @default 4096 */
  readonly maxExternalFiles?: number;
  /** Bytes of all weights when unpacked. @default Infinity: whoever loads the model knows its memory */
  readonly maxWeightBytes?: number;
  /** Bytes that an input or output takes by its declared shape, free dimensions counted as 1. @default MAX_BODY_BYTES of docs/limits.md */
  readonly maxValueBytes?: number;
  /** Whether a model that can loop is refused, for its running time is up to its callers. @default false */
  readonly refuseLoops?: boolean;
}

/** What a model that passed offers to callers, and what its publisher should hear. */
export interface ModelInterface {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Outputs that no answer can carry, such as the maps of a classifier exported with ZipMap. */
  readonly omittedOutputs: readonly { readonly name: string; readonly type: string }[];
  /** Operators that run graphs of their own, {@link loops} included. */
  readonly controlFlow: readonly string[];
  /** Operators that go on for as long as an input says, or never end: the runner's deadline holds them. */
  readonly loops: readonly string[];
}

/**
 * Says whether a model may be served, before a runtime sees it. Pure. Operator types, opset versions and types within
 * the graph are left to ONNX Runtime, which knows them all.
 *
 * @param report hears of each fault; where it comes back, what is returned leaves out what is wrong
 * @throws {ERR_INVALID_MODEL} that names the first fault
 */
export function checkOnnxGraph(
  graph: OnnxGraph,
  limits: ModelLimits = {},
  report: ReportFault = throwFault,
): ModelInterface {
  const scan: Scan = { graph, limits, refuse: (what) => report(fault(graph, what)) };
  checkCounts(scan);
  checkOperators(scan);
  checkTensors(scan);
  checkExternalNames(scan);
  const inputs = checkInputs(scan);
  const { outputs, omittedOutputs } = checkOutputs(scan);
  const controlFlow = graph.operators
    .filter(({ domain, type }) => CONTROL_FLOW.has(`${domain}:${type}`))
    .map(({ type }) => type);
  const loops = loopsOf(graph);
  return { inputs, outputs, omittedOutputs, controlFlow, loops };
}

function loopsOf({ operators }: OnnxGraph): string[] {
  return operators
    .filter(({ domain, type }) => LOOPS.has(`${domain}:${type}`))
    .map(({ type }) => type);
}

/** A scan under way: what is looked at, and who hears of faults. */
interface Scan {
  readonly graph: OnnxGraph;
  readonly limits: ModelLimits;
  readonly refuse: (what: string) => void;
}

/**
 * Says whether the files of external data are there and long enough.
 *
 * @param fileBytes sizes of the files beside the model, by name
 * @throws {ERR_INVALID_MODEL} that names the file and tensor
 */
export function checkExternalFiles(
  graph: OnnxGraph,
  fileBytes: ReadonlyMap<string, number>,
  report: ReportFault = throwFault,
): void {
  const refuse = (what: string): void => report(fault(graph, what));
  for (const tensor of graph.tensors) {
    const { location } = tensor;
    if (location.kind !== 'external') {
      continue;
    }
    const found = fileBytes.get(location.file);
    if (found === undefined) {
      refuse(
        `keeps tensor ${quoted(tensor.name)} in ${quoted(location.file)}, which is not beside it`,
      );
      continue;
    }
    const end = location.offset + (location.length ?? tensor.byteLength);
    if (end > found) {
      refuse(
        `keeps tensor ${quoted(tensor.name)} in ${quoted(location.file)} up to byte ${end}, the file has ${found} bytes`,
      );
    }
  }
}

function checkCounts({ graph, limits, refuse }: Scan): void {
  const counts: [what: string, found: number, max: number][] = [
    ['nodes', graph.nodeCount, limits.maxNodes ?? 200_000],
    ['nodes with its functions expanded', graph.expandedNodeCount, limits.maxNodes ?? 200_000],
    ['levels of subgraphs', graph.maxSubgraphDepth, limits.maxSubgraphDepth ?? 32],
    ['inputs', graph.inputs.length, limits.maxValues ?? MAX_TENSORS],
    ['outputs', graph.outputs.length, limits.maxValues ?? MAX_TENSORS],
    ['stored tensors', graph.tensors.length, limits.maxTensors ?? 200_000],
    ['external files', graph.externalFiles.length, limits.maxExternalFiles ?? 4096],
    ['bytes of weights', graph.weightBytes, limits.maxWeightBytes ?? Number.POSITIVE_INFINITY],
  ];
  for (const [what, found, max] of counts) {
    if (found > max) {
      refuse(`has ${found} ${what}, expected at most ${max}`);
    }
  }
}

function checkOperators({ graph, limits, refuse }: Scan): void {
  const { domains = DEFAULT_DOMAINS } = limits;
  const allowed = new Set(domains.map((domain) => (domain === 'ai.onnx' ? '' : domain)));
  const own = new Set(graph.functions.map(({ domain, name }) => `${domain}:${name}`));
  for (const { domain, type } of graph.operators) {
    const name = `${domain}:${type}`;
    if (own.has(name)) {
      continue;
    }
    if (!allowed.has(domain)) {
      const expected = [...allowed].map((known) => (known === '' ? 'ai.onnx' : known)).join(', ');
      refuse(
        `uses operator ${quoted(type)} of domain ${quoted(domain)}, expected domains ${expected}`,
      );
    }
    if (REFUSED_OPERATORS.has(name)) {
      refuse(`uses operator '${type}', which is compiled for one device only`);
    }
  }
  const [loop] = limits.refuseLoops === true ? loopsOf(graph) : [];
  if (loop !== undefined) {
    refuse(`uses operator '${loop}', which may never end: expected a model without loops`);
  }
}

function checkTensors(scan: Scan): void {
  const { refuse } = scan;
  for (const tensor of scan.graph.tensors) {
    const { shape } = tensor;
    if (shape.length > MAX_RANK || shape.some((size) => size < 0)) {
      refuse(
        `has tensor ${quoted(tensor.name)} of shape [${shape.slice(0, MAX_RANK).join(', ')}], expected sizes from 0 in at most ${MAX_RANK} dimensions`,
      );
    } else if (!Number.isSafeInteger(tensor.byteLength)) {
      refuse(`has tensor ${quoted(tensor.name)} of ${tensor.byteLength} bytes`);
    } else {
      checkStoredBytes(scan, tensor);
    }
  }
}

function checkStoredBytes({ refuse }: Scan, tensor: TensorInfo): void {
  const expected = tensorBytes(tensor.elementType, tensor.shape);
  const { location } = tensor;
  // In attributes and sparse tensors other rules hold, and ONNX Runtime checks them.
  if (expected === null || tensor.role !== 'initializer') {
    return;
  }
  const found = location.kind === 'inline' ? location.storedBytes : (location.length ?? expected);
  // Numbers in protobuf's own encoding take what bytes they need; nothing at all is still too little.
  if (tensor.encoding === 'typed' ? found === 0 && expected > 0 : found !== expected) {
    refuse(
      `has initializer ${quoted(tensor.name)} with ${found} bytes of data, expected ${expected} for ${elementTypeName(tensor.elementType)}[${tensor.shape.join(', ')}]`,
    );
  }
}

function checkExternalNames({ graph, refuse }: Scan): void {
  for (const file of graph.externalFiles) {
    const wrong = externalNameFault(file);
    if (wrong !== undefined) {
      refuse(`keeps weights in external file ${quoted(file)}: the name ${wrong}`);
    }
  }
}

function checkInputs(scan: Scan): TensorSpec[] {
  const { graph, refuse } = scan;
  checkNames(scan, 'input', graph.inputs);
  return graph.inputs.flatMap((input) => {
    if (input.kind === 'unsupported') {
      refuse(
        `has input ${quoted(input.name)} of type ${quoted(input.type)}, which requests cannot carry`,
      );
      return [];
    }
    if (!input.ranked) {
      refuse(
        `has input ${quoted(input.name)} without a shape; declare one, with names for the free dimensions`,
      );
    }
    checkValueBytes(scan, 'input', input);
    return [{ name: input.name, datatype: input.datatype, shape: input.shape }];
  });
}

function checkOutputs(scan: Scan): Pick<ModelInterface, 'outputs' | 'omittedOutputs'> {
  const { graph, refuse } = scan;
  checkNames(scan, 'output', graph.outputs);
  const outputs: TensorSpec[] = [];
  const omittedOutputs: { name: string; type: string }[] = [];
  for (const output of graph.outputs) {
    if (output.kind === 'unsupported') {
      omittedOutputs.push({ name: output.name, type: output.type });
    } else if (output.name === '__proto__') {
      // ONNX Runtime for Node returns outputs as an object's properties, on which this one gets lost.
      omittedOutputs.push({ name: output.name, type: 'name that the runtime cannot return' });
    } else {
      checkValueBytes(scan, 'output', output);
      outputs.push({ name: output.name, datatype: output.datatype, shape: output.shape });
    }
  }
  if (outputs.length === 0) {
    const found = omittedOutputs.map(({ name, type }) => `${quoted(name)} of type ${quoted(type)}`);
    refuse(
      `has no output that an answer can carry, expected at least one tensor, found ${found.slice(0, 3).join(', ') || 'none'}`,
    );
  }
  return { outputs, omittedOutputs };
}

function checkNames(
  { limits, refuse }: Scan,
  what: 'input' | 'output',
  values: readonly GraphValue[],
): void {
  const seen = new Set<string>();
  for (const value of values) {
    const rank = value.kind === 'tensor' ? value.shape.length : 0;
    const wrong =
      nameFault(value.name, limits.maxNameBytes ?? MAX_NAME_BYTES) ??
      (seen.has(value.name) ? 'is used twice' : undefined);
    if (wrong !== undefined) {
      refuse(`has an ${what} whose name ${quoted(value.name)} ${wrong}`);
    }
    if (rank > MAX_RANK) {
      refuse(
        `has ${what} ${quoted(value.name)} of ${rank} dimensions, expected at most ${MAX_RANK}`,
      );
    }
    seen.add(value.name);
  }
}

/** Sizes that no request or answer can have are a mistake, or meant to overflow whatever multiplies them. */
function checkValueBytes(
  { limits, refuse }: Scan,
  what: 'input' | 'output',
  { name, datatype, shape }: TensorSpec,
): void {
  const max = limits.maxValueBytes ?? MAX_BODY_BYTES;
  const sizes = shape.map((dimension) => (typeof dimension === 'number' ? dimension : 1));
  // A size of 0 makes the tensor empty, and its other sizes no less absurd.
  const bytes = sizes.reduce(
    (product, size) => product * Math.max(1, size),
    elementBytes(datatype) ?? 1,
  );
  if (bytes <= max) return;
  refuse(
    `has ${what} ${quoted(name)} of shape [${sizes.slice(0, MAX_RANK).join(', ')}], which takes ${bytes} bytes, expected at most ${max}`,
  );
}

function fault(graph: OnnxGraph, what: string): InvalidModelError {
  return new InvalidModelError(`${graph.fileName} ${what}`, { details: { file: graph.fileName } });
}
