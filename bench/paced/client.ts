/** A client of the swarm in a process of its own, which sends what it is told when it is told, whatever became of the rest. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isSwarmError } from '../../protocols/errors.ts';
import { createClient, type ProgressListener, type SwarmClient } from '../../src/index.ts';
import { epochNow } from '../../test/support/paced-backend.ts';
import { type PolicyName, selectorOf } from '../balance/policies.ts';
import { answerQuestions } from '../worker.ts';
import { answers, inputsOf } from './model.ts';

export interface SendQuestion {
  readonly ref: string;
  /** Begin of the traffic, by the system's clock. */
  readonly epochMs: number;
  readonly deadlineMs: number;
  readonly arrivals: readonly { readonly atMs: number; readonly work: number }[];
}

/** How a request ended, for its caller. */
export interface Sent {
  readonly atMs: number;
  readonly work: number;
  /** Milliseconds from when it was due, so that a client that is late itself does not look quick. */
  readonly latencyMs: number;
  /** Peer id of the node that answered; null when none did. */
  readonly node: string | null;
  /** What it failed with. */
  readonly code: string | null;
  /** Each request that left for a node, in milliseconds since the traffic began. */
  readonly sends: readonly { readonly node: string; readonly atMs: number }[];
}

export type ClientQuestions = {
  readonly join: {
    readonly ask: {
      readonly bootstrap: readonly string[];
      readonly network: string;
      readonly policy: PolicyName;
    };
    readonly answer: null;
  };
  /** Resolves when all were answered or failed. */
  readonly send: { readonly ask: SendQuestion; readonly answer: readonly Sent[] };
};

let client: SwarmClient | undefined;

answerQuestions<ClientQuestions>(
  {
    async join({ bootstrap, network, policy }) {
      client = await createClient({ bootstrap, network, selector: selectorOf(policy) });
      return null;
    },
    async send({ ref, epochMs, deadlineMs, arrivals }) {
      const sent: Promise<Sent>[] = [];
      for (const { atMs, work } of arrivals) {
        const restMs = epochMs + atMs - epochNow();
        if (restMs > 0) await sleep(restMs);
        sent.push(call(ref, { atMs, work }, epochMs, deadlineMs));
      }
      return Promise.all(sent);
    },
  },
  async () => client?.close(),
);

async function call(
  ref: string,
  due: { readonly atMs: number; readonly work: number },
  epochMs: number,
  deadlineMs: number,
): Promise<Sent> {
  if (client === undefined) throw new Error('expected join before send');
  const sends: Sent['sends'][number][] = [];
  const onProgress: ProgressListener = (event) => {
    if (event.kind === 'sent') sends.push({ node: event.node, atMs: epochNow() - epochMs });
  };
  const ended = (node: string | null, code: string | null): Sent => ({
    ...due,
    ...{ node, code, sends },
    latencyMs: epochNow() - epochMs - due.atMs,
  });
  try {
    const result = await client.infer(ref, inputsOf(due.work), { deadlineMs, onProgress });
    return answers(result.outputs, due.work)
      ? ended(result.node, null)
      : ended(null, 'wrong answer');
  } catch (error) {
    return ended(null, isSwarmError(error) ? error.code : String(error));
  }
}
