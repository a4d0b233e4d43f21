import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { LoadingError, NoNodeError } from '../../../../protocols/errors.ts';
import { CallClock } from '../../../../src/client/call-clock.ts';
import {
  type CallComponents,
  type CallInit,
  RoutedCall,
} from '../../../../src/client/routed-call.ts';
import { candidateOf } from '../../../support/candidates.ts';
import { VERSION } from '../../../support/inference-peers.ts';

/** A swarm in which one node holds the version and takes no requests, and those that did are looked for until the call ends. */
function prepare(seek: Promise<void>): CallComponents {
  const holder = {
    node: { announcement: { state: 'draining' } },
    version: { state: 'ready', load: {} },
  };
  const components = {
    peer: { outcomes: { count: () => {} }, demand: { meter: () => ({ missed: () => {} }) } },
    resolver: { refresh: async () => {}, resolve: async () => ({ cid: VERSION }), hint: () => {} },
    directory: {
      ...{ ready: () => [], cold: () => [], probe: () => undefined },
      ...{ holders: () => [holder], hasLost: () => true, seek: () => seek },
    },
    chooser: { selectable: () => [], choose: () => undefined },
    ...{ retries: { called: () => {} }, hedges: { called: () => {} }, hedgeTimes: {} },
  };
  return components as unknown as CallComponents;
}

function initOf(clock: CallClock, patient = false): CallInit {
  const ref = { publisher: 'p', name: 'm', selector: { kind: 'version', cid: VERSION } };
  const init = { ref, share: 0, model: { cid: VERSION }, clock, bodyBytes: 0, patient };
  return init as unknown as CallInit;
}

/** A swarm of one node, which refuses as many requests as it has refusals, and answers none after. */
function prepareNode(refusals: readonly Error[]): CallComponents {
  const left = [...refusals];
  const link = {
    infer: async (_request: unknown, { signal }: { readonly signal: AbortSignal }) => {
      const refusal = left.shift();
      if (refusal !== undefined) throw refusal;
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  };
  const choice = { ...candidateOf('node'), link, cold: false, etaMs: null };
  const components = {
    ...prepare(Promise.resolve()),
    chooser: {
      selectable: () => [],
      choose: (_ready: unknown, { tried }: { readonly tried: ReadonlySet<string> }) =>
        tried.has('node') ? undefined : choice,
    },
    retries: { called: () => {}, take: () => true },
    hedgeTimes: { afterMs: () => 60_000 },
  };
  return components as unknown as CallComponents;
}

it.each([
  [
    'is told when to come back, that waits for a node',
    [50],
    20,
    { code: 'ERR_LOADING', etaMs: 50 },
  ],
  [
    'is told when to come back, that asks a node again',
    [1],
    200,
    { code: 'ERR_LOADING', etaMs: 1 },
  ],
  ['has run out, that a node has taken', [], 20, { name: 'TimeoutError' }],
] as const)('RoutedCall whose time is up %s', async (_, etas, deadlineMs, expected) => {
  using clock = new CallClock(deadlineMs, undefined);
  const refusals = etas.map((etaMs) => new LoadingError('it is being loaded', etaMs));
  const call = new RoutedCall(initOf(clock, true), prepareNode(refusals));
  await expect(call.run()).rejects.toMatchObject(expected);
});

it('RoutedCall leaves no rejection behind when it ends before the nodes that it looks for again are found', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  try {
    const seek = Promise.withResolvers<void>();
    using clock = new CallClock(60_000, undefined);
    const call = new RoutedCall(initOf(clock), prepare(seek.promise));
    await expect(call.run()).rejects.toBeInstanceOf(NoNodeError);
    seek.reject(new DOMException('the call is over', 'AbortError'));
    await turn();
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
});
