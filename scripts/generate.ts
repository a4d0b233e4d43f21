/** Writes the files that are made from the sources: `npm run generate`. A test says when they are out of date. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { packageFileJsonSchema } from '../src/model/package-schema.ts';

const folder = path.join(import.meta.dirname, '..', 'docs', 'schema');
await mkdir(folder, { recursive: true });
await writeFile(
  path.join(folder, 'swarm.schema.json'),
  `${JSON.stringify(packageFileJsonSchema(), null, 2)}\n`,
);
