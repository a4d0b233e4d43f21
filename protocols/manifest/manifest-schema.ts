import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { isDatatype, type Datatype } from '../datatype.ts';
import { type BlockCid, DIGEST_BYTES, isBlockCid } from '../digest.ts';
import { MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from '../limits.ts';
import { answerSchema } from './answer.ts';
import { deploymentSchema, isDeploymentConsistent } from './deployment.ts';
import { embeddingSchema } from './embedding.ts';
import { fileNameKey, fileNameSchema } from './file-name.ts';
import { goldenSchema, MAX_GOLDEN_BYTES, toleranceSchema } from './golden.ts';
import { metadataShape } from './metadata.ts';
import { preprocessingSchema } from './preprocessing.ts';
import { findUnknownTensors } from './tensor-reference.ts';

/** Files of one version. */
export const MAX_FILES = 1024;

/** Class labels of one version; the manifest's own bound bites first when they are long. */
export const MAX_CLASS_LABELS = 65_536;

export const classLabelsSchema = z.array(z.string().max(256)).min(1).max(MAX_CLASS_LABELS);

const fileSchema = z.object({
  path: fileNameSchema,
  size: z.int().min(0),
  sha256: z
    .instanceof(Uint8Array)
    .refine((digest) => digest.byteLength === DIGEST_BYTES, { message: 'expected 32 bytes' }),
  chunks: z
    .custom<CID>(
      (value) => {
        const cid = CID.asCID(value);
        return cid !== null && isBlockCid(cid);
      },
      { message: 'expected a link to a dag-cbor block by sha256' },
    )
    .transform((cid) => cid.toString() as BlockCid),
});

const tensorSchema = z.object({
  name: z.string().min(1).max(MAX_NAME_BYTES),
  datatype: z.custom<Datatype>(isDatatype, { message: 'expected a datatype such as FP32' }),
  shape: z
    .array(
      z.union([z.int().min(0), z.string().min(1).max(1024), z.null()], {
        error: 'expected a size from 0, a name of at most 1024 characters, or null',
      }),
    )
    .max(MAX_RANK),
});

/** The decoded block as a manifest; keys of a later program are left out. */
export const manifestSchema = z
  .object({
    schema: z.literal(1),
    entry: z.string(),
    files: z.array(fileSchema).min(1).max(MAX_FILES),
    inputs: z.array(tensorSchema).max(MAX_TENSORS),
    outputs: z.array(tensorSchema).min(1).max(MAX_TENSORS),
    deployment: deploymentSchema,
    metadata: z.object(metadataShape),
    preprocessing: preprocessingSchema.optional(),
    classLabels: classLabelsSchema.optional(),
    answer: answerSchema.optional(),
    embedding: embeddingSchema.optional(),
    golden: goldenSchema.optional(),
    tolerance: toleranceSchema.optional(),
  })
  .superRefine((manifest, context) => {
    const refuse = (path: (string | number)[], message: string): void => {
      context.addIssue({ code: 'custom', path, message });
    };
    checkFiles(manifest, refuse);
    checkFileReferences(manifest, refuse);
    checkNames('inputs', manifest.inputs, refuse);
    checkNames('outputs', manifest.outputs, refuse);
    if (!isDeploymentConsistent(manifest.deployment)) {
      refuse(['deployment', 'maxReplicas'], 'expected at least minReplicas');
    }
    for (const { path, message } of findUnknownTensors(manifest, manifest)) refuse(path, message);
  });

type Refuse = (path: (string | number)[], message: string) => void;

function checkFiles(
  manifest: { entry: string; files: { path: string; size: number }[] },
  refuse: Refuse,
): void {
  const keys = new Set<string>();
  let total = 0;
  manifest.files.forEach(({ path, size }, index) => {
    const key = fileNameKey(path);
    if (keys.has(key)) refuse(['files', index, 'path'], 'names a file twice');
    keys.add(key);
    total += size;
  });
  if (!Number.isSafeInteger(total)) refuse(['files'], 'sizes add up to more than 2^53 bytes');
  if (!manifest.files.some(({ path }) => path === manifest.entry)) {
    refuse(['entry'], 'is not one of the files');
  }
}

function checkFileReferences(
  manifest: {
    files: { path: string; size: number }[];
    metadata: { modelCard?: string | undefined };
    embedding?: { tokenizer: string } | undefined;
    golden?: { file: string } | undefined;
  },
  refuse: Refuse,
): void {
  const sizes = new Map(manifest.files.map(({ path, size }) => [path, size]));
  const { modelCard } = manifest.metadata;
  if (modelCard !== undefined && !sizes.has(modelCard)) {
    refuse(['metadata', 'modelCard'], 'is not one of the files');
  }
  if (manifest.embedding !== undefined && !sizes.has(manifest.embedding.tokenizer)) {
    refuse(['embedding', 'tokenizer'], 'is not one of the files');
  }
  if (manifest.golden === undefined) return;
  const goldenBytes = sizes.get(manifest.golden.file);
  if (goldenBytes === undefined) refuse(['golden', 'file'], 'is not one of the files');
  else if (goldenBytes > MAX_GOLDEN_BYTES) {
    refuse(['golden', 'file'], `has ${goldenBytes} bytes, expected at most ${MAX_GOLDEN_BYTES}`);
  }
}

function checkNames(field: string, tensors: readonly { name: string }[], refuse: Refuse): void {
  const names = new Set<string>();
  tensors.forEach(({ name }, index) => {
    if (names.has(name)) refuse([field, index, 'name'], 'names a tensor twice');
    names.add(name);
  });
}
