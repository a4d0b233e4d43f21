/**
 * A picture in: the model's own manifest says how it becomes a tensor, and how the outputs are read.
 *
 * Usage: node examples/read-digit.ts <bootstrap> <publisher>/digits [picture.png…]
 *
 * Needs the optional package `sharp`, which `npm install gpu-swarm` brings along where it can.
 */

import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createClient, imageToTensor, isSwarmError, readAnswers } from 'gpu-swarm';

const [bootstrap, ref, ...given] = process.argv.slice(2);
if (bootstrap === undefined || ref === undefined) {
  console.error('usage: read-digit.ts <bootstrap> <publisher>/digits [picture.png…]');
  process.exit(2);
}

const pictures = given.length > 0 ? given : await bundledPictures();

try {
  await using client = await createClient({ bootstrap: [bootstrap] });

  const manifest = await client.manifest(ref);
  const { preprocessing } = manifest;
  if (preprocessing === undefined) throw new Error(`${ref} does not say how it takes pictures`);

  for (const picture of pictures) {
    const tensor = await imageToTensor(await readFile(picture), preprocessing);
    const { outputs, node, latencyMs } = await client.infer(
      ref,
      { [preprocessing.input]: tensor },
      { deadlineMs: 10_000 },
    );
    const [answer] = readAnswers(manifest, outputs);
    const confidence = (100 * (answer?.confidence ?? 0)).toFixed(0);
    console.log(
      `${picture}: ${answer?.text} (${confidence} %), from ${node} in ${latencyMs.toFixed(1)} ms`,
    );
  }
} catch (error) {
  if (!isSwarmError(error)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}

/** The digits beside this file, which the model has not seen in training; a name begins with the digit. */
async function bundledPictures(): Promise<string[]> {
  const folder = fileURLToPath(new URL('models/digits/inputs/', import.meta.url));
  const names = await readdir(folder);
  return names.filter((name) => name.endsWith('.png')).map((name) => `${folder}${name}`);
}
