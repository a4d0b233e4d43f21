import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { NoNodeError } from '../../../../protocols/errors.ts';
import { CallClock } from '../../../../src/client/call-clock.ts';
import {
  type CallComponents,
  type CallInit,
  RoutedCall,
} from '../../../../src/client/routed-call.ts';
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

it('RoutedCall leaves no rejection behind when it ends before the nodes that it looks for again are found', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  try {
    const seek = Promise.withResolvers<void>();
    using clock = new CallClock(60_000, undefined);
    const init = {
      ...{
        ref: { publisher: 'p', name: 'm', selector: { kind: 'version', cid: VERSION } },
        share: 0,
        model: { cid: VERSION },
        clock,
      },
      patient: false,
    };
    const call = new RoutedCall(init as unknown as CallInit, prepare(seek.promise));
    await expect(call.run()).rejects.toBeInstanceOf(NoNodeError);
    seek.reject(new DOMException('the call is over', 'AbortError'));
    await turn();
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
});
