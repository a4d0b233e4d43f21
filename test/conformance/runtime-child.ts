/**
 * A throw-away process that runs tests of the ONNX project on ONNX Runtime alone, none of this project between: what it can do
 * is what a node should. It may die of any of them.
 */
import { InferenceSession } from 'onnxruntime-node';
import type { OrtTensor } from '../../node/backend/child/ort-tensor.ts';
import type { Datatype } from '../../protocols/datatype.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { elementTypeName } from '../../src/model/element-type.ts';
import {
  describeOutputDifference,
  findOutputDifference,
} from '../../src/policy/output-comparison.ts';
import { type DataSet, type OnnxCase, readDataSets, TOLERANCE } from './onnx-case.ts';
import type { RuntimeVerdict } from './runtime.ts';
import { type StoredTensor, tensorOf } from './tensor-proto.ts';

/** The binding's words, written down here once more: a slip in the node's own list must not look like the runtime's. */
const DATATYPES: Readonly<Record<string, Datatype>> = {
  ...{ bool: 'BOOL', string: 'BYTES', float16: 'FP16', float32: 'FP32', float64: 'FP64' },
  ...{ int8: 'INT8', int16: 'INT16', int32: 'INT32', int64: 'INT64' },
  ...{ uint8: 'UINT8', uint16: 'UINT16', uint32: 'UINT32', uint64: 'UINT64' },
};

/** The binding's names of ONNX's element types where they differ. */
const BINDING_NAMES: Readonly<Record<string, string>> = { float: 'float32', double: 'float64' };

process.on('message', (test: OnnxCase) => {
  void judge(test).then((verdict) => process.send?.(verdict));
});

async function judge(test: OnnxCase): Promise<RuntimeVerdict> {
  let stage: 'load' | 'run' = 'load';
  try {
    const session = await InferenceSession.create(test.model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
    });
    stage = 'run';
    for (const set of await readDataSets(test)) {
      const wrong = await runOnce(session, set);
      if (wrong !== undefined) return { outcome: 'wrong', reason: wrong };
    }
    await session.release();
    return { outcome: 'right', reason: '' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { outcome: stage === 'load' ? 'not loaded' : 'not run', reason };
  }
}

/** What is wrong with the answer, undefined when nothing is. */
async function runOnce(session: InferenceSession, set: DataSet): Promise<string | undefined> {
  const feeds = Object.create(null) as Record<string, OrtTensor>;
  for (const value of set.inputs) {
    if (value.kind === 'other') throw new Error(`input of type ${value.type}`);
    feeds[value.name] = feed(value.tensor);
  }
  const found = (await session.run(
    feeds as unknown as InferenceSession.OnnxValueMapType,
  )) as unknown as Record<string, OrtTensor>;
  const outputs = Object.entries(found).map(
    ([name, value]): NamedTensor => ({ name, tensor: answered(value) }),
  );
  const expected = set.outputs.map((value): NamedTensor => {
    const tensor = value.kind === 'tensor' ? tensorOf(value.tensor) : undefined;
    if (tensor === undefined)
      throw new Error(`output '${value.name}' is no tensor of a known type`);
    return { name: value.name, tensor };
  });
  const difference = findOutputDifference(expected, outputs, () => TOLERANCE);
  return difference === undefined ? undefined : describeOutputDifference(difference);
}

function answered({ type, dims, data }: OrtTensor): Tensor {
  const datatype = DATATYPES[type];
  if (datatype === undefined) throw new Error(`output of type ${type}`);
  if (!ArrayBuffer.isView(data)) return Tensor.from(datatype, dims, data);
  return new Tensor(datatype, dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** The plain object that the binding reads: its `Tensor` class refuses float16 on Node 23 and later. */
function feed({ elementType, shape, bytes, ...stored }: StoredTensor): OrtTensor {
  const name = elementTypeName(elementType);
  const tensor = tensorOf({ elementType, shape, bytes, ...stored });
  const data = tensor?.datatype === 'BYTES' ? tensor.strings() : (tensor?.data ?? bytes);
  return { type: BINDING_NAMES[name] ?? name, dims: shape, location: 'cpu', data };
}
