import { BodyCollector, type ModelCollector } from './onnx-collector.ts';
import type { TensorInfo } from './onnx-graph.ts';
import { TENSOR, TensorDraft, type TextEntry, tensorInfo } from './onnx-tensor.ts';
import { graphValue, OnnxType, VALUE, type ValueDraft } from './onnx-type.ts';
import {
  type FieldRule,
  integer,
  type MessageSchema,
  message,
  messageSchema,
  text,
} from './protobuf-schema.ts';

/** Bytes of an operator's type, domain or overload. Names that exporters make stay under 200. */
const MAX_OPERATOR_TEXT_BYTES = 4096;

/** Bytes of a metadata value that is kept: whole tokenizers travel there as well. */
const MAX_METADATA_BYTES = 64 * 1024;

/** Where in the model a message lies. */
interface Place {
  readonly model: ModelCollector;
  readonly body: BodyCollector;
  /** Subgraphs around it. */
  readonly depth: number;
}

interface NodeDraft extends Place {
  type: string;
  domain: string;
  overload: string;
}

interface SparseDraft extends Place {
  name: string;
}

function addTensor(place: Place, draft: TensorDraft): void {
  const tensor = tensorInfo(draft);
  if (typeof tensor === 'string') {
    throw place.model.fault(tensor);
  }
  place.model.addTensor(tensor);
}

function addInitializerName(place: Place, name: string): void {
  if (place.depth === 0) {
    place.model.retain([name]);
    place.model.initializerNames.push(name);
  }
}

function tensor<T extends Place>(
  role: TensorInfo['role'],
  added?: (place: T, name: string) => void,
): FieldRule<T> {
  return message(
    () => TENSOR,
    () => new TensorDraft(role),
    (place, draft) => {
      addTensor(place, draft);
      added?.(place, draft.name);
    },
  );
}

const SPARSE = messageSchema<SparseDraft>({
  1: tensor('sparse', (sparse, name) => (sparse.name = name)),
  2: tensor('sparse'),
});

function sparse(added?: (place: Place, name: string) => void): FieldRule<Place> {
  return message(
    () => SPARSE,
    (place): SparseDraft => ({ ...place, name: '' }),
    (place, draft) => added?.(place, draft.name),
  );
}

const SUBGRAPH: FieldRule<Place> = message(
  () => GRAPH,
  ({ model, body, depth }): Place => {
    model.maxSubgraphDepth = Math.max(model.maxSubgraphDepth, depth + 1);
    return { model, body, depth: depth + 1 };
  },
);

/** `AttributeProto`: only what can hold weights or nodes. */
const ATTRIBUTE = messageSchema<Place>({
  5: tensor('attribute'),
  6: SUBGRAPH,
  10: tensor('attribute'),
  11: SUBGRAPH,
  22: sparse(),
  23: sparse(),
});

const NODE = messageSchema<NodeDraft>({
  4: text(MAX_OPERATOR_TEXT_BYTES, (node, type) => (node.type = type)),
  5: message(
    () => ATTRIBUTE,
    (node): Place => node,
  ),
  7: text(MAX_OPERATOR_TEXT_BYTES, (node, domain) => (node.domain = domain)),
  8: text(MAX_OPERATOR_TEXT_BYTES, (node, overload) => (node.overload = overload)),
});

const NODES: FieldRule<Place> = message(
  () => NODE,
  ({ model, body, depth }): NodeDraft => ({
    model,
    body,
    depth,
    type: '',
    domain: '',
    overload: '',
  }),
  ({ model, body }, node) => model.addNode(body, node),
);

/** Inputs and outputs are those of the main graph; a subgraph's stay inside. */
function values(side: 'inputs' | 'outputs'): FieldRule<Place> {
  return message(
    () => VALUE,
    (): ValueDraft => ({ name: '', type: new OnnxType() }),
    ({ model, depth }, draft) => {
      if (depth === 0) {
        const value = graphValue(draft);
        const dimensions = value.kind === 'tensor' ? value.shape : [];
        model.retain([value.name, ...dimensions.filter((d) => typeof d === 'string')]);
        model[side].push(value);
      }
    },
  );
}

/** `GraphProto`. */
const GRAPH: MessageSchema<Place> = messageSchema<Place>({
  1: NODES,
  5: tensor('initializer', addInitializerName),
  11: values('inputs'),
  12: values('outputs'),
  15: sparse(addInitializerName),
});

/** `FunctionProto`. */
const FUNCTION = messageSchema<Place>({
  1: text(MAX_OPERATOR_TEXT_BYTES, ({ body }, name) => (body.name = name)),
  7: NODES,
  10: text(MAX_OPERATOR_TEXT_BYTES, ({ body }, domain) => (body.domain = domain)),
  11: message(
    () => ATTRIBUTE,
    (place): Place => place,
  ),
  13: text(MAX_OPERATOR_TEXT_BYTES, ({ body }, overload) => (body.overload = overload)),
});

const OPERATOR_SET = messageSchema<{ domain: string; version: number }>({
  1: text(MAX_OPERATOR_TEXT_BYTES, (set, domain) => (set.domain = domain)),
  2: integer((set, version) => (set.version = version)),
});

const METADATA = messageSchema<Partial<TextEntry>>({
  1: text(MAX_METADATA_BYTES, (entry, key) => (entry.key = key), 'skip'),
  2: text(MAX_METADATA_BYTES, (entry, value) => (entry.value = value), 'skip'),
});

/**
 * `ModelProto`. Training information (field 20) is passed over: inference never runs it.
 *
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
export const MODEL_SCHEMA = messageSchema<ModelCollector>({
  1: integer((model, version) => (model.irVersion = version)),
  2: text(MAX_OPERATOR_TEXT_BYTES, (model, producer) => (model.producer = producer), 'skip'),
  7: message(
    () => GRAPH,
    (model): Place => {
      model.beginGraph();
      return { model, body: model.main, depth: 0 };
    },
  ),
  8: message(
    () => OPERATOR_SET,
    () => ({ domain: '', version: 0 }),
    (model, set) => {
      model.retain([set.domain]);
      model.opsets.push(set);
    },
  ),
  14: message(
    () => METADATA,
    (): Partial<TextEntry> => ({}),
    (model, { key, value }) => {
      if (key !== undefined && value !== undefined) {
        model.retain([key, value]);
        model.metadata.set(key, value);
      }
    },
  ),
  25: message(
    () => FUNCTION,
    (model): Place => ({ model, body: new BodyCollector(), depth: 0 }),
    (model, { body }) => model.addFunction(body),
  ),
});
