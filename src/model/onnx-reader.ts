import { InvalidModelError } from '../../protocols/errors.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { ByteSource } from './byte-source.ts';
import { FORMAT_HEAD_BYTES, foreignFormat } from './foreign-format.ts';
import { expandedNodeCount, type FunctionBody, mergeOperators } from './model-function.ts';
import { ModelCollector } from './onnx-collector.ts';
import { MODEL_SCHEMA } from './onnx-schema.ts';
import { walkMessage } from './protobuf-reader.ts';
import type { OnnxGraph } from './onnx-graph.ts';

export interface ReadOnnxOptions extends AbortOptions {
  /** What errors call the file. @default 'model.onnx' */
  readonly fileName?: string | undefined;
}

/**
 * Reads what an .onnx file declares, without its weights: a file of any size in a few MiB of memory.
 *
 * Nothing is judged here beyond being an ONNX model; {@link checkOnnxGraph} does that.
 *
 * @throws {ERR_INVALID_MODEL} when the file is something else, damaged, or has no graph
 */
export async function readOnnxGraph(
  source: ByteSource,
  options: ReadOnnxOptions = {},
): Promise<OnnxGraph> {
  const fileName = options.fileName ?? 'model.onnx';
  const head = await source.read(0, Math.min(source.size, FORMAT_HEAD_BYTES));
  const foreign = foreignFormat(head);
  if (foreign !== undefined) {
    throw new InvalidModelError(`${fileName}: expected an ONNX protobuf, found ${foreign}`, {
      details: { file: fileName, fileBytes: source.size },
    });
  }
  const model = new ModelCollector(fileName);
  await walkMessage(source, MODEL_SCHEMA, model, { fileName, signal: options.signal });
  if (model.graphs === 0) {
    throw new InvalidModelError(
      `${fileName}: expected an ONNX model, found ${model.irVersion === 0 ? 'no field of one' : `IR version ${model.irVersion} without a graph`}`,
      { details: { file: fileName, fileBytes: source.size } },
    );
  }
  return assemble(model, fileName, source.size);
}

function assemble(model: ModelCollector, fileName: string, fileBytes: number): OnnxGraph {
  const bodies: readonly FunctionBody[] = [model.main, ...model.functions];
  const given = new Set(model.initializerNames);
  const external = new Set<string>();
  let weightBytes = 0;
  for (const tensor of model.tensors) {
    weightBytes += tensor.byteLength;
    if (tensor.location.kind === 'external') {
      external.add(tensor.location.file);
    }
  }
  return {
    fileName,
    fileBytes,
    irVersion: model.irVersion,
    producer: model.producer,
    opsets: model.opsets,
    inputs: model.inputs.filter((input) => !given.has(input.name)),
    outputs: model.outputs,
    operators: mergeOperators(bodies),
    functions: model.functions.map(({ domain, name }) => ({ domain, name })),
    nodeCount: bodies.reduce((sum, body) => sum + body.nodeCount, 0),
    expandedNodeCount: expandedNodeCount(model.main, model.functions),
    maxSubgraphDepth: model.maxSubgraphDepth,
    tensors: model.tensors,
    externalFiles: [...external],
    weightBytes,
    // Object.fromEntries defines own properties, so a key of '__proto__' is a key like any other.
    metadata: Object.fromEntries(model.metadata),
  };
}
