/**
 * A program that loads a model, begins a run that never ends, and says on standard output which process that run is in. For
 * tests that kill it: `node backend-parent.ts <folder of the model> <work folder>`.
 */
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { ENDLESS_TRIPS } from './echo-model.ts';
import { describeFiles } from './model-folder.ts';

const [directory = '', workDir = ''] = process.argv.slice(2);
const backend = createOnnxBackend({ threads: 1, workDir });
const model = await backend.load(await describeFiles(directory, 'model.onnx'));
if (!(model instanceof OnnxModel)) throw new Error('not a model of the ONNX backend');
const inputs = [
  { name: 'x', tensor: Tensor.from('FP32', [1], [1]) },
  { name: 'trips', tensor: Tensor.from('INT64', [], [ENDLESS_TRIPS]) },
];
const run = model.run(inputs, { limitMs: 600_000 });
process.stdout.write(`${model.pid}\n`);
await run;
