import { z } from 'zod';
import { PACKAGE_FILE_NAME, packageFileSchema } from './package-file.ts';

/**
 * The JSON Schema (draft 2020-12) of a package file, made of what reads it, so that editors complete and check it. What JSON
 * Schema cannot say (names of files, bounds that depend on each other, what the model has) `swarm models lint` says.
 */
export function packageFileJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(packageFileSchema);
  return {
    $schema,
    title: PACKAGE_FILE_NAME,
    description:
      'What a package says of its model beyond the .onnx file; see docs/protocols/manifest.md.',
    ...schema,
  };
}
