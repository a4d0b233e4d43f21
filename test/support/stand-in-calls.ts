import { setTimeout as delay } from 'node:timers/promises';
import type { InferenceHandler } from '../../protocols/inference/index.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { CallClock } from '../../src/client/call-clock.ts';
import { SingleInputs } from '../../src/client/call-inputs.ts';
import { type InferOptions, resolveInferOptions } from '../../src/client/infer-options.ts';
import type { InferResult } from '../../src/client/infer-result.ts';
import type { Avoided } from '../../src/policy/routing.ts';
import { IDLE } from './announced-peer.ts';
import { REF, type StandInNodes } from './stand-in-nodes.ts';

/** What every call sends: `x FP32 [1, 2]`. */
export const INPUTS = new SingleInputs({ x: Tensor.from('FP32', [1, 2], [1, 2]) }, async () => {
  throw new Error('all inputs are tensors: no manifest is read');
});

/** Gives the inputs back after a while, and counts who asked and who took a request back. */
export function echoHandler(
  afterMs = 0,
  load = IDLE,
): InferenceHandler & { readonly asked: { count: number; cancelled: number } } {
  const asked = { count: 0, cancelled: 0 };
  return {
    asked,
    admit: () => ({
      execute: async (inputs, { signal }: { readonly signal?: AbortSignal | undefined }) => {
        asked.count += 1;
        await delay(afterMs, undefined, { signal }).catch(() => {
          asked.cancelled += 1;
          throw new DOMException('taken back', 'AbortError');
        });
        const executeMs = load.serviceMs ?? 0;
        return { outputs: inputs, queueMs: 0, executeMs, load, releaseSequence: 0 };
      },
    }),
    load: () => load,
  };
}

/** Refuses every request, and counts them. */
export function refusingHandler(
  error: () => Error,
): InferenceHandler & { readonly asked: { count: number } } {
  const asked = { count: 0 };
  return {
    asked,
    admit: () => {
      asked.count += 1;
      throw error();
    },
    load: () => IDLE,
  };
}

/** Calls the one version of the stand-ins. */
export async function inferAt(
  { router }: StandInNodes,
  options: InferOptions & { readonly avoid?: Avoided } = {},
): Promise<InferResult> {
  const { avoid, ...rest } = options;
  const resolved = resolveInferOptions(rest, { deadlineMs: 10_000 });
  const clock = new CallClock(resolved.deadlineMs, resolved.signal);
  return router.infer(REF, INPUTS, { ...resolved, avoid }, clock);
}
