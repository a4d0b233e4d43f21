import { digestOfCid } from '../../protocols/digest.ts';
import { InvalidModelError, InvalidRecordError, LimitError } from '../../protocols/errors.ts';
import {
  type ChunkList,
  decodeManifest,
  type EncodedChunkList,
  encodeChunkList,
  encodeManifest,
  type EncodedManifest,
  type Manifest,
  type ManifestFile,
  MAX_FILES,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { chunkFile } from './chunker.ts';
import { checkExternalFiles, checkOnnxGraph, type ModelInterface } from './model-scan.ts';
import { type OnnxGraph, readOnnxGraph } from './onnx-graph.ts';
import {
  checkTensorReferences,
  MAX_PACKAGE_FILE_BYTES,
  PACKAGE_FILE_NAME,
  packageFileFault,
  type PackageSettings,
  parsePackageFile,
} from './package-file.ts';
import { chooseEntry, findPackage, measureFile, type PackageFolder } from './package-folder.ts';
import { PackageFiles, PackageSource } from './package-source.ts';

export interface PackOptions extends AbortOptions {
  /** Told the bytes hashed so far and the bytes of all files. */
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined;
}

/** A version, and where its blocks are read from. Whoever packed it disposes of it, which closes the files. */
export interface PackedVersion extends AsyncDisposable {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  /** The manifest as a block: what the CID is of. */
  readonly manifestBytes: Uint8Array;
  /** Manifest, chunk lists and chunks by digest. The files must stay as they are: a change is ERR_CORRUPT on reading. */
  readonly source: BlockSource;
  /** What the scan found: also the outputs that are left out, and why. */
  readonly model: ModelInterface;
}

/**
 * Makes a version of an .onnx file with the external data beside it, or of a folder: scans the model, cuts the files into
 * chunks, encodes the manifest. The same files give the same CID on any machine.
 *
 * Nothing is copied: the version is served from the files themselves, which are read once and stay open.
 *
 * @param location an .onnx file, of which only the files it refers to come along; or a folder, all of whose files do
 * @throws {ERR_NOT_FOUND} when nothing is there.
 * @throws {ERR_INVALID_MODEL} that names the file and what is wrong with it, or when a file changed meanwhile.
 * @throws {ERR_LIMIT} when manifest or chunk list would be too large. {ERR_STORE} when the operating system refuses.
 */
export async function packModel(
  location: string,
  options: PackOptions = {},
): Promise<PackedVersion> {
  const found = await findPackage(location);
  const files = new PackageFiles(found.folder);
  try {
    return await pack(found, files, options);
  } catch (error) {
    await files[Symbol.asyncDispose]();
    throw error;
  }
}

async function pack(
  found: PackageFolder,
  files: PackageFiles,
  options: PackOptions,
): Promise<PackedVersion> {
  const settings = await readSettings(found, files);
  const entry = chooseEntry(found.fileBytes.keys(), settings.entry);
  const graph = await readOnnxGraph(await files.open(entry), {
    fileName: entry,
    signal: options.signal,
  });
  const model = checkOnnxGraph(graph, { maxExternalFiles: MAX_FILES });
  checkTensorReferences(settings, model);
  const fileBytes = await withExternalFiles(found, graph);
  checkExternalFiles(graph, fileBytes);
  const source = new PackageSource(files);
  const packed = await packFiles(fileBytes, files, source, options);
  const { metadata = {}, deployment = {}, preprocessing, classLabels, answer } = settings;
  const manifest: Manifest = {
    schema: 1,
    entry,
    files: packed,
    inputs: model.inputs,
    outputs: model.outputs,
    deployment,
    metadata,
    preprocessing,
    classLabels,
    answer,
  };
  const { bytes, cid } = encode(manifest, entry);
  source.add(digestOfCid(cid), bytes);
  return {
    cid,
    manifest: decodeManifest(bytes),
    manifestBytes: bytes,
    source,
    model,
    [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
  };
}

async function readSettings(
  { fileBytes }: PackageFolder,
  files: PackageFiles,
): Promise<PackageSettings> {
  if (!fileBytes.has(PACKAGE_FILE_NAME)) return {};
  const file = await files.open(PACKAGE_FILE_NAME);
  if (file.size > MAX_PACKAGE_FILE_BYTES) {
    throw packageFileFault(`has ${file.size} bytes, expected at most ${MAX_PACKAGE_FILE_BYTES}`);
  }
  return parsePackageFile(await file.read(0, file.size));
}

/** A file that is not there is left out: the check of external files says it with the tensor's name. */
async function withExternalFiles(
  { folder, fileBytes }: PackageFolder,
  graph: OnnxGraph,
): Promise<ReadonlyMap<string, number>> {
  const all = new Map(fileBytes);
  for (const name of graph.externalFiles) {
    const size = all.get(name) ?? (await measureFile(folder, name));
    if (size !== undefined) all.set(name, size);
  }
  return all;
}

async function packFiles(
  fileBytes: ReadonlyMap<string, number>,
  files: PackageFiles,
  source: PackageSource,
  { signal, onProgress }: PackOptions,
): Promise<ManifestFile[]> {
  const packed: ManifestFile[] = [];
  const totalBytes = [...fileBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  let bytesDone = 0;
  const onBytes = (bytes: number): void => onProgress?.((bytesDone += bytes), totalBytes);
  for (const [name, expectedBytes] of fileBytes) {
    const file = await files.open(name);
    const { size, sha256, chunks } = await chunkFile(file, { signal, onBytes });
    await file.checkUnchanged();
    if (size !== expectedBytes) {
      throw new InvalidModelError(
        `package file ${quoted(name)} changed meanwhile: it had ${expectedBytes} bytes, now ${size}`,
      );
    }
    await files.letGo(name);
    const list = encodeList(name, chunks);
    source.add(digestOfCid(list.cid), list.bytes);
    let offset = 0;
    for (const chunk of chunks) {
      source.add(chunk.digest, { file: name, offset, size: chunk.size });
      offset += chunk.size;
    }
    packed.push({ path: name, size, sha256, chunks: list.cid });
  }
  return packed;
}

function encodeList(name: string, chunks: ChunkList): EncodedChunkList {
  try {
    return encodeChunkList(chunks);
  } catch (error) {
    if (!(error instanceof LimitError)) throw error;
    throw new LimitError(`package file ${quoted(name)} is too large: ${error.message}`, {
      cause: error,
    });
  }
}

function encode(manifest: Manifest, entry: string): EncodedManifest {
  try {
    return encodeManifest(manifest);
  } catch (error) {
    if (!(error instanceof InvalidRecordError)) throw error;
    // What the scan lets pass and a manifest cannot say, such as a dimension's name without end.
    throw new InvalidModelError(`${entry} cannot be described: ${error.message}`, { cause: error });
  }
}
