import { digestOfCid } from '../../protocols/digest.ts';
import { InvalidModelError, InvalidRecordError, LimitError } from '../../protocols/errors.ts';
import {
  type ChunkList,
  decodeManifest,
  type EncodedChunkList,
  type EncodedManifest,
  encodeChunkList,
  encodeManifest,
  type Manifest,
  type ManifestFile,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { BlockSource } from '../../protocols/transfer/index.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import { chunkFile } from './chunker.ts';
import type { ModelInterface } from './model-scan.ts';
import { findPackage, type PackageFolder } from './package-folder.ts';
import { type InspectedPackage, inspectPackage } from './package-inspection.ts';
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
 * @param location an .onnx file, of which only the files it refers to and its golden vectors come along; or a folder, all
 *   of whose files do
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

/** What a package's manifest says, given its files. */
export function describePackage(
  { entry, settings, model, golden }: InspectedPackage,
  files: readonly ManifestFile[],
): Manifest {
  const {
    metadata = {},
    deployment = {},
    preprocessing,
    classLabels,
    answer,
    embedding,
    tolerance,
  } = settings;
  return {
    schema: 1,
    entry,
    files,
    inputs: model.inputs,
    outputs: model.outputs,
    deployment,
    metadata,
    preprocessing,
    classLabels,
    answer,
    embedding,
    golden: golden === undefined ? undefined : { file: golden },
    tolerance,
  };
}

async function pack(
  found: PackageFolder,
  files: PackageFiles,
  options: PackOptions,
): Promise<PackedVersion> {
  const inspected = await inspectPackage(found, files, { signal: options.signal });
  if (inspected === undefined) throw new InvalidModelError('package cannot be described');
  const source = new PackageSource(files);
  const packed = await packFiles(inspected.fileBytes, files, source, options);
  const { bytes, cid } = encode(describePackage(inspected, packed), inspected.entry);
  source.add(digestOfCid(cid), bytes);
  return {
    cid,
    manifest: decodeManifest(bytes),
    manifestBytes: bytes,
    source,
    model: inspected.model,
    [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
  };
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
