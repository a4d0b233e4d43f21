import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ModelFiles } from '../../node/backend/backend.ts';
import type { Manifest } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { openFileSource } from '../../src/model/byte-source.ts';
import { checkOnnxGraph } from '../../src/model/model-scan.ts';
import { readOnnxGraph } from '../../src/model/onnx-reader.ts';
import { buildModel, type ModelInit } from './onnx-builder.ts';
import { createTestFolder } from './test-folder.ts';

/** A version's files in a temporary folder; whoever made it removes it. */
export interface ModelFolder extends AsyncDisposable {
  readonly files: ModelFiles;
}

/** Writes a model, with further files beside it by name, and declares what a scan of it finds. */
export async function createModelFolder(
  model: ModelInit | Uint8Array,
  beside: Readonly<Record<string, Uint8Array>> = {},
): Promise<ModelFolder> {
  const folder = await createTestFolder();
  const bytes = model instanceof Uint8Array ? model : buildModel(model);
  const entry = 'model.onnx';
  for (const [name, content] of Object.entries({ ...beside, [entry]: bytes })) {
    await writeFile(path.join(folder.path, name), content);
  }
  return {
    files: await describeFiles(folder.path, entry),
    [Symbol.asyncDispose]: async () => folder[Symbol.asyncDispose](),
  };
}

/** What a publisher would declare of the model in a folder; nothing where the scan refuses it. */
export async function describeFiles(directory: string, entry: string): Promise<ModelFiles> {
  const cid = 'bafyreihvonnydrqxvsrgvygqzkkt3gsqoi37bjbr4yeclgb6c6l6yhpdbq' as VersionCid;
  const source = await openFileSource(path.join(directory, entry));
  try {
    const { inputs, outputs } = checkOnnxGraph(await readOnnxGraph(source));
    return { cid, directory, entry, inputs, outputs };
  } catch {
    // A malformed model: what the backend says of it is what the test is about.
    return { cid, directory, entry, inputs: [], outputs: [] };
  } finally {
    await source.close();
  }
}

/** A manifest that says of such files what has to be said, and no more. */
export function bareManifest(
  { entry, inputs, outputs }: Pick<ModelFiles, 'entry' | 'inputs' | 'outputs'>,
  changes: Partial<Manifest> = {},
): Manifest {
  return { schema: 1, entry, files: [], inputs, outputs, deployment: {}, metadata: {}, ...changes };
}
