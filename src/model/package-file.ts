import { z } from 'zod';
import { InvalidModelError } from '../../protocols/errors.ts';
import { MAX_MANIFEST_BYTES } from '../../protocols/limits.ts';
import {
  classLabelsSchema,
  fileNameFault,
  findUnknownTensors,
  isDeploymentConsistent,
  metadataShape,
  strictAnswerSchema,
  strictDeploymentSchema,
  strictPreprocessingSchema,
} from '../../protocols/manifest/index.ts';
import { describeSchemaIssue } from '../../protocols/schema-issue.ts';
import type { ModelInterface } from './model-scan.ts';

/** The file of a package that says what its .onnx files cannot. */
export const PACKAGE_FILE_NAME = 'swarm.json';

/** Bytes of a package file: what it says goes into the manifest, which may have no more. */
export const MAX_PACKAGE_FILE_BYTES = MAX_MANIFEST_BYTES;

const packageFileSchema = z.strictObject({
  entry: z
    .string()
    .superRefine((entry, context) => {
      const fault = fileNameFault(entry);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: `file name ${fault}` });
    })
    .optional(),
  metadata: z.strictObject(metadataShape).optional(),
  deployment: strictDeploymentSchema
    .refine(isDeploymentConsistent, {
      path: ['maxReplicas'],
      message: 'expected at least minReplicas',
    })
    .optional(),
  preprocessing: strictPreprocessingSchema.optional(),
  classLabels: classLabelsSchema.optional(),
  answer: strictAnswerSchema.optional(),
});

/** What a package file says; all of it is optional. */
export type PackageSettings = z.infer<typeof packageFileSchema>;

/**
 * Reads a package file.
 *
 * @throws {ERR_INVALID_MODEL} that names the file and the field: JSON is broken, a key is unknown, a value is out of bounds.
 */
export function parsePackageFile(bytes: Uint8Array): PackageSettings {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    // The parser shows what stands around the fault, line ends included.
    const why = (cause as Error).message.replace(/\s+/gu, ' ');
    throw packageFileFault(`is not JSON: ${why}`, { cause });
  }
  const parsed = packageFileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw packageFileFault(describeSchemaIssue(parsed.error));
}

/**
 * Checks that the tensors a package file names are the model's.
 *
 * @throws {ERR_INVALID_MODEL} that names the file and the field.
 */
export function checkTensorReferences(settings: PackageSettings, model: ModelInterface): void {
  const [unknown] = findUnknownTensors(settings, model);
  if (unknown === undefined) return;
  throw packageFileFault(`field ${unknown.path.join('.')}: ${unknown.message}`);
}

export function packageFileFault(fault: string, options?: ErrorOptions): InvalidModelError {
  return new InvalidModelError(`${PACKAGE_FILE_NAME} ${fault}`, {
    ...options,
    details: { file: PACKAGE_FILE_NAME },
  });
}
