import { extname, join } from 'node:path';
import type * as ort from 'onnxruntime-node';
import type { InferenceSession } from 'onnxruntime-node';
import { ConfigError, InvalidModelError, LimitError } from '../../../protocols/errors.ts';
import { bytesOf, formatShape } from '../../../protocols/tensor.ts';
import type { DeclaredDimension, TensorSpec } from '../../../protocols/types.ts';
import type { LoadCommand, SessionSettings } from '../pipe-message.ts';
import { PREPACKED_MODEL, PREPACKED_WEIGHTS } from '../prepacked-files.ts';
import type { IndexedTensor } from '../tensor-frame.ts';
import { classifyLoadError, classifyRunError } from './ort-error.ts';
import { datatypeOfOrt, fromOrtTensor, type OrtTensor, toOrtTensor } from './ort-tensor.ts';

/** The version that package.json pins; another one is another set of bugs. */
const INSTALL = 'npm install onnxruntime-node@1.30.0 --onnxruntime-node-install=skip';

type Ort = typeof ort;

/** A model in ONNX Runtime. The only code that touches the runtime; it blocks its thread while it works. */
export class ModelSession {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Outputs left out, each with its reason. */
  readonly notes: readonly string[];
  readonly runtimeVersion: string;
  readonly runtimeProviders: readonly string[];
  readonly #session: InferenceSession;
  readonly #modelPath: string;
  readonly #maxResponseBytes: number;

  private constructor(ort: Ort, session: InferenceSession, command: LoadCommand) {
    this.#session = session;
    this.#modelPath = join(command.directory, command.entry);
    this.#maxResponseBytes = command.maxResponseBytes;
    this.runtimeVersion = ort.env.versions.node ?? 'unknown';
    this.runtimeProviders = ort.listSupportedBackends().map(({ name }) => name);
    this.inputs = session.inputMetadata.map(inputSpec);
    const notes: string[] = [];
    this.outputs = session.outputMetadata.flatMap((output) => outputSpec(output, notes));
    this.notes = notes;
    if (this.outputs.length === 0) {
      throw new InvalidModelError(
        `model has no output that can be served: ${notes.join('; ') || 'it declares none'}`,
      );
    }
  }

  /**
   * Loads a model by its path, so that its weights never pass through JavaScript and what it refers to stays in its folder.
   *
   * @throws {ERR_CONFIG} when ONNX Runtime is not installed.
   * @throws {ERR_INVALID_MODEL} when it refuses the model, or the model's inputs or outputs cannot travel.
   */
  static async load(ort: Ort, command: LoadCommand): Promise<ModelSession> {
    const { directory, entry } = command;
    // The runtime tells the two formats apart by the name alone, and takes no .ort from a path that says .onnx.
    if (extname(entry) === '.ort') {
      throw new InvalidModelError(`${entry} is in ORT format, expected an ONNX protobuf`);
    }
    const modelPath = join(directory, entry);
    let session: InferenceSession;
    try {
      session = await ort.InferenceSession.create(...sessionSource(command, modelPath));
    } catch (error) {
      throw classifyLoadError(error, entry, modelPath);
    }
    return new ModelSession(ort, session, command);
  }

  /**
   * Executes once; `wanted` holds indices of outputs.
   *
   * @throws {ERR_INVALID_INPUT} when the tensors do not fit the model.
   * @throws {ERR_EXECUTION} when the model fails.
   * @throws {ERR_LIMIT} when the outputs are larger than the caller takes.
   */
  async run(
    inputs: readonly IndexedTensor[],
    wanted: readonly number[],
  ): Promise<readonly IndexedTensor[]> {
    // Without a prototype: an input may be called __proto__.
    const feeds = Object.create(null) as Record<string, OrtTensor>;
    for (const { index, tensor } of inputs) {
      const { name } = this.#spec(this.inputs, index);
      feeds[name] = toOrtTensor(name, tensor);
    }
    const fetches = wanted.map((index) => this.#spec(this.outputs, index).name);
    const results = await this.#execute(feeds, fetches);
    const outputs = fetches.map((name, position) => {
      const result = Object.hasOwn(results, name) ? results[name] : undefined;
      if (result === undefined) throw new TypeError(`output '${name}' was not returned`);
      return { index: wanted[position] ?? 0, tensor: fromOrtTensor(result) };
    });
    const bytes = bytesOf(outputs);
    if (bytes > this.#maxResponseBytes) {
      const shapes = outputs.map(({ tensor }) => formatShape(tensor.shape)).join(', ');
      throw new LimitError(
        `outputs of shape ${shapes.slice(0, 200)} have ${bytes} bytes, expected at most ${this.#maxResponseBytes}`,
      );
    }
    return outputs;
  }

  async #execute(
    feeds: Record<string, OrtTensor>,
    fetches: readonly string[],
  ): Promise<Record<string, OrtTensor>> {
    try {
      const results = await this.#session.run(
        feeds as unknown as InferenceSession.OnnxValueMapType,
        fetches,
        { logSeverityLevel: 4 },
      );
      return results as unknown as Record<string, OrtTensor>;
    } catch (error) {
      throw classifyRunError(error, this.#modelPath);
    }
  }

  #spec(specs: readonly TensorSpec[], index: number): TensorSpec {
    const spec = specs[index];
    if (spec === undefined) throw new RangeError(`no tensor ${index} of ${specs.length}`);
    return spec;
  }
}

/**
 * Loads ONNX Runtime into this process.
 *
 * @throws {ERR_CONFIG} when it is not installed or its binary does not fit this system.
 */
export async function importRuntime(): Promise<Ort> {
  try {
    const ort = await import('onnxruntime-node');
    // Its messages go to standard error in colour besides being thrown.
    ort.env.logLevel = 'fatal';
    return ort;
  } catch (cause) {
    throw new ConfigError(describeImportFailure(cause), { cause });
  }
}

function describeImportFailure(cause: unknown): string {
  const { code } = cause as { readonly code?: unknown };
  const message = cause instanceof Error ? cause.message : String(cause);
  if (code === 'ERR_MODULE_NOT_FOUND') return `onnxruntime-node is not installed; ${INSTALL}`;
  // It is there and looks for its binary, which it has for some systems, and only where all of it was unpacked.
  if (code === 'MODULE_NOT_FOUND' && message.includes('.node')) {
    return `onnxruntime-node has no binary for ${process.platform} ${process.arch}; ${INSTALL}`;
  }
  return `ONNX Runtime does not start: ${message}`;
}

/** Which file the session is made of, and how. */
function sessionSource(
  { settings, prepacked }: LoadCommand,
  modelPath: string,
): [string, InferenceSession.SessionOptions] {
  const options = sessionOptions(settings);
  if (prepacked === undefined) return [modelPath, options];
  if ('directory' in prepacked) {
    // What there was to optimize was when it was made.
    const form = join(prepacked.directory, PREPACKED_MODEL);
    return [form, { ...options, graphOptimizationLevel: 'disabled' }];
  }
  const extra = {
    session: {
      ...(options.extra?.['session'] as object),
      optimized_model_external_initializers_file_name: PREPACKED_WEIGHTS,
      save_external_prepacked_constant_initializers: '1',
    },
  };
  return [
    modelPath,
    { ...options, extra, optimizedModelFilePath: join(process.cwd(), PREPACKED_MODEL) },
  ];
}

function sessionOptions(settings: SessionSettings): InferenceSession.SessionOptions {
  const { provider, deviceId, threads, cpuFallback, session } = settings;
  const withDevice = ['cuda', 'tensorrt', 'dml'].includes(provider);
  const { graphOptimizationLevel, memoryPattern } = session;
  const executionProvider = withDevice ? { name: provider, deviceId } : { name: provider };
  return {
    executionProviders: [executionProvider],
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // The arena never gives memory back, and costs more than it saves: docs/execution.md.
    enableCpuMemArena: false,
    // What the publisher does not say is left to the runtime, whose defaults depend on the provider.
    ...(graphOptimizationLevel === undefined ? {} : { graphOptimizationLevel }),
    ...(memoryPattern === undefined ? {} : { enableMemPattern: memoryPattern }),
    logSeverityLevel: 4,
    // Waiting threads that spin burn a core for nothing, and halve the speed of a shared machine.
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        disable_cpu_ep_fallback: cpuFallback ? '0' : '1',
      },
    },
  };
}

function inputSpec(input: InferenceSession.ValueMetadata): TensorSpec {
  const spec = tensorSpec(input);
  if (typeof spec === 'string') throw new InvalidModelError(`input ${spec}`);
  return spec;
}

function outputSpec(output: InferenceSession.ValueMetadata, notes: string[]): TensorSpec[] {
  const spec = tensorSpec(output);
  // The runtime's result is a plain object: this one key can not be read from it.
  const lost = output.name === '__proto__' ? "'__proto__' cannot be read" : undefined;
  const fault = lost ?? (typeof spec === 'string' ? spec : undefined);
  if (fault !== undefined) notes.push(`output ${fault}`);
  return fault !== undefined || typeof spec === 'string' ? [] : [spec];
}

/** The spec, or a sentence on why the value cannot be served. */
function tensorSpec(value: InferenceSession.ValueMetadata): TensorSpec | string {
  if (!value.isTensor) return `'${value.name}' is a sequence, map or optional, expected a tensor`;
  const datatype = datatypeOfOrt(value.type);
  if (datatype === undefined)
    return `'${value.name}' has datatype ${value.type}, which cannot be served`;
  // A free dimension is its name, or '' when it has none.
  const shape = value.shape.map(
    (dimension): DeclaredDimension => (dimension === '' ? null : dimension),
  );
  return { name: value.name, datatype, shape };
}
