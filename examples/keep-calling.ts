/**
 * A service that goes on while nodes die: calls with a deadline, gives up by a signal, handles errors by their code.
 *
 * Usage: node examples/keep-calling.ts <bootstrap> <publisher>/travel [seconds]
 *
 * Calls for 30 seconds or until Ctrl-C. Kill a node meanwhile: the line of the next call says who took over.
 */

import { setTimeout as wait } from 'node:timers/promises';
import { createClient, type InferResult, isSwarmError, type SwarmClient, Tensor } from 'gpu-swarm';

const PAUSE_MS = 200;
const DEADLINE_MS = 5000;

const [bootstrap, ref, seconds = '30'] = process.argv.slice(2);
if (bootstrap === undefined || ref === undefined || !(Number(seconds) > 0)) {
  console.error('usage: keep-calling.ts <bootstrap> <publisher>/travel [seconds]');
  process.exit(2);
}

// A family of four: what each way of travelling (air, train, bus, car) costs in dollars and takes in minutes.
const traveller = {
  income: Tensor.from('FP32', [1], [35]),
  party_size: Tensor.from('INT64', [1], [4n]),
  cost: Tensor.from('FP32', [1, 4], [236, 124, 100, 48]),
  waiting_time: Tensor.from('FP32', [1, 4], [64, 40, 35, 0]),
  travel_time: Tensor.from('FP32', [1, 4], [100, 600, 650, 540]),
};
const MODES = ['air', 'train', 'bus', 'car'];

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(1000 * Number(seconds))]);

const tally = { answered: 0, retried: 0, failed: 0 };
try {
  await using client = await createClient({ bootstrap: [bootstrap] });
  while (!signal.aborted) {
    const pauseMs = await callOnce(client, ref);
    // Rejects when the signal aborts, which ends the loop.
    await wait(pauseMs, undefined, { signal }).catch(() => undefined);
  }
} catch (error) {
  if (!isSwarmError(error)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
console.log(`${tally.answered} answered, ${tally.retried} by another node, ${tally.failed} failed`);

/** Resolves with the milliseconds to wait before the next call. */
async function callOnce(client: SwarmClient, model: string): Promise<number> {
  try {
    const result = await client.infer(model, traveller, { deadlineMs: DEADLINE_MS, signal });
    tally.answered += 1;
    if (result.failedAttempts.length > 0) tally.retried += 1;
    console.log(describe(result));
    return PAUSE_MS;
  } catch (error) {
    if (signal.aborted) return 0;
    if (!isSwarmError(error)) throw error;
    tally.failed += 1;
    console.error(`${error.code}: ${error.message}`);
    switch (error.code) {
      case 'ERR_BUSY':
        // Every node is full, and says when it will not be.
        return Number(error.details['retryAfterMs'] ?? PAUSE_MS);
      case 'ERR_NO_NODE':
      case 'ERR_LOADING':
      case 'ERR_DEADLINE':
      case 'ERR_CONNECTION':
        return 5 * PAUSE_MS;
      default:
        // Wrong input, unknown model, refused: the next call would end the same way.
        throw error;
    }
  }
}

function describe({ outputs, node, latencyMs, failedAttempts }: InferResult): string {
  const best = Number(outputs['ranking']?.toArray()[0]);
  const retries = failedAttempts.map((attempt) => `${attempt.node} failed (${attempt.code})`);
  return [`take the ${MODES[best]}`, `${latencyMs.toFixed(1)} ms`, `from ${node}`, ...retries].join(
    ', ',
  );
}
