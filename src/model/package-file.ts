import { z } from 'zod';
import type { InvalidModelError } from '../../protocols/errors.ts';
import { MAX_MANIFEST_BYTES } from '../../protocols/limits.ts';
import {
  classLabelsSchema,
  fileNameSchema,
  findBatchingFaults,
  findEmbeddingFaults,
  findPreprocessingFaults,
  findUnknownTensors,
  isDeploymentConsistent,
  metadataShape,
  strictAnswerSchema,
  strictDeploymentSchema,
  strictEmbeddingSchema,
  strictGoldenSchema,
  strictPreprocessingSchema,
  strictToleranceSchema,
} from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { listSchemaIssues } from '../../protocols/schema-issue.ts';
import type { ModelInterface } from './model-scan.ts';
import { fieldFault, type ReportFault, throwFault } from './package-fault.ts';

/** The file of a package that says what its .onnx files cannot. */
export const PACKAGE_FILE_NAME = 'swarm.json';

/** Bytes of a package file: what it says goes into the manifest, which may have no more. */
export const MAX_PACKAGE_FILE_BYTES = MAX_MANIFEST_BYTES;

/** Keys are strict here: in a file that people write, an unknown one is a typing error. */
export const packageFileSchema = z.strictObject({
  $schema: z.string().max(2048).describe('For editors; means nothing to the swarm.').optional(),
  entry: fileNameSchema
    .describe('The .onnx file to load, where the package has several.')
    .optional(),
  metadata: z.strictObject(metadataShape).optional(),
  deployment: strictDeploymentSchema
    .refine(isDeploymentConsistent, {
      path: ['maxReplicas'],
      message: 'expected at least minReplicas',
    })
    .optional(),
  preprocessing: strictPreprocessingSchema
    .describe('How a picture becomes an input tensor.')
    .optional(),
  classLabels: classLabelsSchema
    .describe(
      'Names for the last axis of the output that answer names, or for the indices it ranks.',
    )
    .optional(),
  answer: strictAnswerSchema.describe('How a person reads the outputs.').optional(),
  embedding: strictEmbeddingSchema
    .describe('How texts become vectors, for a model whose task is text-embedding.')
    .optional(),
  golden: strictGoldenSchema
    .describe(
      'The file of golden vectors. Default: golden.json, or <entry>.golden.json, where there is one.',
    )
    .optional(),
  tolerance: strictToleranceSchema
    .describe(
      'How far two right answers may be from each other. Default: 0.001 absolute, 0.01 relative.',
    )
    .optional(),
});

/** What a package file says; all of it is optional. */
export type PackageSettings = Omit<z.infer<typeof packageFileSchema>, '$schema'>;

/**
 * Reads a package file.
 *
 * @param report hears of each fault; one that comes back gets undefined
 * @throws {ERR_INVALID_MODEL} that names the file and the field: JSON is broken, a key is unknown, a value is out of bounds.
 */
export function parsePackageFile(bytes: Uint8Array): PackageSettings;
export function parsePackageFile(
  bytes: Uint8Array,
  report: ReportFault,
): PackageSettings | undefined;
export function parsePackageFile(
  bytes: Uint8Array,
  report: ReportFault = throwFault,
): PackageSettings | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    // The parser shows what stands around the fault, line ends included.
    const why = (cause as Error).message.replace(/\s+/gu, ' ');
    report(packageFileFault('', `is not JSON: ${why}`, { cause }));
    return undefined;
  }
  const parsed = packageFileSchema.safeParse(value);
  if (parsed.success) {
    const { $schema: _forEditors, ...settings } = parsed.data;
    return settings;
  }
  for (const { field, message } of listSchemaIssues(parsed.error)) {
    report(packageFileFault(field, message));
  }
  return undefined;
}

/**
 * Checks that the tensors a package file names are the model's, and that what it says of them can be.
 *
 * @throws {ERR_INVALID_MODEL} that names the file and the field.
 */
export function checkTensorReferences(
  settings: PackageSettings,
  model: ModelInterface,
  report: ReportFault = throwFault,
): void {
  for (const { path, message } of findUnknownTensors(settings, model)) {
    report(packageFileFault(path.join('.'), message));
  }
  const { preprocessing, deployment, embedding } = settings;
  const input = model.inputs.find(({ name }) => name === preprocessing?.input);
  if (preprocessing !== undefined && input !== undefined) {
    for (const { field, message } of findPreprocessingFaults(preprocessing, input)) {
      report(packageFileFault(`preprocessing.${field}`, message));
    }
  }
  for (const { field, message } of embedding ? findEmbeddingFaults(embedding, model) : []) {
    report(packageFileFault(`embedding.${field}`, message));
  }
  for (const { field, message } of findBatchingFaults(deployment ?? {}, model)) {
    report(packageFileFault(`deployment.${field}`, message));
  }
}

/**
 * Checks that the files a package file names are in the package.
 *
 * @throws {ERR_INVALID_MODEL} that names the file and the field.
 */
export function checkFileReferences(
  { golden, metadata, embedding }: PackageSettings,
  names: ReadonlySet<string>,
  report: ReportFault = throwFault,
): void {
  for (const [field, name] of [
    ['golden.file', golden?.file],
    ['metadata.modelCard', metadata?.modelCard],
    ['embedding.tokenizer', embedding?.tokenizer],
  ] as const) {
    if (name === undefined || names.has(name)) continue;
    report(packageFileFault(field, `${quoted(name)} is not a file of the package`));
  }
}

/** A fault in a field of the package file; of the whole file when the field is `''`. */
export function packageFileFault(
  field: string,
  fault: string,
  options?: ErrorOptions,
): InvalidModelError {
  return fieldFault(PACKAGE_FILE_NAME, field, fault, options);
}
