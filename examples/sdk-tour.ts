/**
 * All of the client on one model, step by step; docs/sdk.md explains each step with the same lines.
 *
 * Usage: node examples/sdk-tour.ts <bootstrap> <publisher>/digits
 */

import {
  createClient,
  type CallProgress,
  isSwarmError,
  type RemoteModel,
  type SwarmClient,
  Tensor,
} from 'gpu-swarm';

/** A digit as the model takes it: eight rows of eight gray values, paper 0 and ink 1. */
type Digit = readonly (readonly number[])[];

const ONE: Digit = Array.from({ length: 8 }, () => [0, 0, 0, 1, 1, 0, 0, 0]);
const ZERO: Digit = Array.from({ length: 8 }, (_, row) =>
  row === 0 || row === 7 ? [0, 0, 1, 1, 1, 1, 0, 0] : [0, 1, 1, 0, 0, 1, 1, 0],
);

const [bootstrap, ref] = process.argv.slice(2);
if (bootstrap === undefined || ref === undefined) {
  console.error('usage: sdk-tour.ts <bootstrap> <publisher>/digits');
  process.exit(2);
}

try {
  await using client = await createClient({
    bootstrap: [bootstrap],
    mode: 'light',
    deadlineMs: 10_000,
  });
  const model = client.model(ref);

  await describe(model);
  await awaitAnswer(model);
  await sendTensors(model);
  await iterateOutputs(model);
  await watchProgress(model);
  await cancelCall(model);
  await sendBatch(model);
  await handleFailure(model);
  await compareOwners(client, model);
} catch (error) {
  if (!isSwarmError(error)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}

async function describe(model: RemoteModel): Promise<void> {
  const { cid, channel, manifest } = await model.metadata();
  console.log(`${channel} is version ${cid}, ready: ${await model.ready()}`);
  for (const { name, datatype, shape } of manifest.inputs) console.log(name, datatype, shape);
}

async function awaitAnswer(model: RemoteModel): Promise<void> {
  const { outputs, node, latencyMs } = await model.infer({ image: [[ONE]] });
  const scores = [...(outputs['probabilities']?.floats() ?? [])];
  console.log(`a ${scores.indexOf(Math.max(...scores))}, from ${node} in ${latencyMs} ms`);
}

async function sendTensors(model: RemoteModel): Promise<void> {
  const pixels = new Float32Array(ZERO.flat());
  const image = Tensor.from('FP32', [1, 1, 8, 8], pixels);
  const { outputs } = await model.infer({ image }, { deadlineMs: 2_000, priority: 10 });
  console.log(outputs['probabilities']?.toNestedArray());
}

async function iterateOutputs(model: RemoteModel): Promise<void> {
  for await (const { name, tensor } of model.infer({ image: [[ONE]] })) {
    console.log(`${name} ${tensor.datatype} [${tensor.shape.join(', ')}]`);
  }
}

async function watchProgress(model: RemoteModel): Promise<void> {
  const onProgress = (event: CallProgress): void => {
    const at = `${event.elapsedMs.toFixed(1)} ms`;
    if (event.kind === 'sent') console.log(`${at}: asked ${event.node}`);
    else if (event.kind === 'waiting') console.log(`${at}: again in ${event.waitMs} ms`);
    else console.log(`${at}: ${event.kind}`);
  };
  await model.infer({ image: [[ONE]] }, { onProgress });
}

async function cancelCall(model: RemoteModel): Promise<void> {
  {
    // Left by any way, the scope takes the call back: the node is told, and nothing is unhandled.
    using call = model.infer({ image: [[ONE]] });
    const first = await Promise.race([call, model.infer({ image: [[ZERO]] })]);
    console.log(`the first answer came from ${first.node}`);
  }
  const call = model.infer({ image: [[ONE]] });
  call.cancel();
  await call.catch((error: unknown) => console.log(`ended by ${(error as Error).name}`));
}

async function sendBatch(model: RemoteModel): Promise<void> {
  const answers = await model.inferBatch([{ image: [[ONE]] }, { image: [[ZERO], [ONE]] }]);
  for (const { outputs } of answers) {
    console.log(`${outputs['probabilities']?.shape[0]} rows of an answer`);
  }
}

async function handleFailure(model: RemoteModel): Promise<void> {
  try {
    await model.infer({ image: [1, 2, 3] });
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    console.log(`${error.code}: ${error.message}`);
  }
}

async function compareOwners(client: SwarmClient, model: RemoteModel): Promise<void> {
  const checked = await model.infer({ image: [[ONE]] }, { verify: { replicas: 3, atLeast: 1 } });
  for (const { node, provider, agrees, difference } of checked.verification?.witnesses ?? []) {
    console.log(`${node} on ${provider} ${agrees ? 'agrees' : `differs: ${difference}`}`);
  }
  for (const { charge, accused } of client.evidence) console.log(`${accused.node}: ${charge}`);
}
