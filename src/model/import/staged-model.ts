import path from 'node:path';
import type { AbortOptions } from '../../../protocols/types.ts';
import { openFileSource } from '../byte-source.ts';
import { checkOnnxGraph } from '../model-scan.ts';
import { type OnnxGraph, readOnnxGraph } from '../onnx-graph.ts';

/**
 * The graph of an .onnx file that may be served; the files of external data are not looked at.
 *
 * @throws {ERR_INVALID_MODEL} that names what is wrong, a name that leaves the model's folder for one.
 */
export async function readServableGraph(
  file: string,
  options: AbortOptions = {},
): Promise<OnnxGraph> {
  await using source = await openFileSource(file);
  const graph = await readOnnxGraph(source, {
    fileName: path.basename(file),
    signal: options.signal,
  });
  checkOnnxGraph(graph);
  return graph;
}
