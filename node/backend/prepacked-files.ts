/** Names of the two files of a prepacked form: the graph as optimized, and its weights as this processor wants them. */
export const PREPACKED_MODEL = 'model.onnx';
export const PREPACKED_WEIGHTS = 'weights.bin';
