import { InvalidModelError } from '../../protocols/errors.ts';
import { type FunctionBody, normaliseDomain, operatorKey } from './model-function.ts';
import type { OperatorUse, TensorInfo, TensorValue, UnsupportedValue } from './onnx-graph.ts';

/**
 * Bytes of names, shapes and records kept of one file. 300 000 tensors fit; a file made of nothing but names, each
 * worth a string in memory, does not grow past this.
 */
const MAX_RETAINED_BYTES = 128 * 1024 * 1024;

/** Bytes that a kept record costs beside its text, roughly. */
const RECORD_BYTES = 256;

/** Collects one body's nodes; a function's names come after its nodes in the file. */
export class BodyCollector implements FunctionBody {
  domain = '';
  name = '';
  overload = '';
  nodeCount = 0;
  readonly operators = new Map<string, OperatorUse>();
}

/** Gathers a model while its file is walked, within a bound of memory. */
export class ModelCollector {
  readonly fileName: string;
  irVersion = 0;
  producer = '';
  /** `graph` fields seen; protobuf would merge several into one. */
  graphs = 0;
  readonly main = new BodyCollector();
  readonly functions: BodyCollector[] = [];
  readonly opsets: { domain: string; version: number }[] = [];
  readonly inputs: (TensorValue | UnsupportedValue)[] = [];
  readonly outputs: (TensorValue | UnsupportedValue)[] = [];
  readonly tensors: TensorInfo[] = [];
  /** Of the main graph: names that are filled without the caller. */
  readonly initializerNames: string[] = [];
  readonly metadata = new Map<string, string>();
  maxSubgraphDepth = 0;
  #retainedBytes = 0;

  constructor(fileName: string) {
    this.fileName = fileName;
  }

  /**
   * Accounts for something that is kept.
   *
   * @throws {ERR_INVALID_MODEL} past the bound
   */
  retain(texts: readonly string[], numbers = 0): void {
    this.#retainedBytes += texts.reduce((sum, text) => sum + 2 * text.length, RECORD_BYTES);
    this.#retainedBytes += 8 * numbers;
    if (this.#retainedBytes > MAX_RETAINED_BYTES) {
      throw this.fault(
        `its names, shapes and operators take more than ${MAX_RETAINED_BYTES} bytes of memory`,
      );
    }
  }

  beginGraph(): void {
    this.graphs += 1;
    if (this.graphs > 1) {
      throw this.fault('it holds more than one graph: are these two models joined into one file?');
    }
  }

  addNode(body: BodyCollector, node: { domain: string; type: string; overload: string }): void {
    const domain = normaliseDomain(node.domain);
    const key = operatorKey(domain, node.type, node.overload);
    body.nodeCount += 1;
    const use = body.operators.get(key);
    if (use === undefined) {
      this.retain([key, domain, node.type]);
    }
    body.operators.set(key, { domain, type: node.type, count: (use?.count ?? 0) + 1 });
  }

  addFunction(body: BodyCollector): void {
    body.domain = normaliseDomain(body.domain);
    this.retain([body.domain, body.name]);
    this.functions.push(body);
  }

  addTensor(tensor: TensorInfo): void {
    const file = tensor.location.kind === 'external' ? tensor.location.file : '';
    this.retain([tensor.name, file], tensor.shape.length);
    this.tensors.push(tensor);
  }

  fault(what: string): InvalidModelError {
    return new InvalidModelError(`${this.fileName} cannot be read as a model: ${what}`, {
      details: { file: this.fileName },
    });
  }
}
