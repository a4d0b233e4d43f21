import path from 'node:path';
import type { AbortOptions } from '../../../protocols/types.ts';
import { openFileSource } from '../byte-source.ts';
import { checkOnnxGraph } from '../model-scan.ts';
import type { OnnxGraph } from '../onnx-graph.ts';
import { readOnnxGraph } from '../onnx-reader.ts';

/** What an import says of a package besides its files. */
export interface StagedModel {
  /** What could not be taken over, in sentences. */
  readonly notes: readonly string[];
  /** Where golden vectors made for the package belong. */
  readonly golden: GoldenPlace;
}

/** The place in the source from which the next import would bring them, so that the source is one version from then on. */
export interface GoldenPlace {
  /** The file's name in the package. */
  readonly name: string;
  /** The folder of the source; undefined where the source is not its user's to write to: a cache, an address. */
  readonly folder: string | undefined;
}

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
