import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { echoModel } from '../../test/support/echo-model.ts';
import { buildModel } from '../../test/support/onnx-builder.ts';

export const MODEL_NAME = 'paced';

/** A model that sends back the work it is asked for: one number, so that nobody can tell by its size. */
export const MODEL_BYTES = buildModel(echoModel({ work: { datatype: 'FP32', shape: [1] } }));

export function inputsOf(work: number): Record<string, Tensor> {
  return { work: Tensor.from('FP32', [1], [work]) };
}

/** The work that an input asks for; 1 for what is none, such as what a node makes up to try the model with. */
export function workOf([input]: readonly NamedTensor[]): number {
  const work = Number(input?.tensor.toArray()[0]);
  return work >= 0.01 && work <= 100 ? work : 1;
}

/** Whether an answer is the one to that work. */
export function answers(outputs: Readonly<Record<string, Tensor>>, work: number): boolean {
  return outputs['work-out']?.toArray()[0] === Math.fround(work);
}
