import { describe, expect, it } from 'vitest';
import { GatewayFleet } from '../../../../../src/gateway/fleet/gateway-fleet.ts';

const TICK_MS = 1_000;
const COOL_DOWN_MS = 60_000;

function open() {
  const seen = { hosts: 3, present: 3, joined: true };
  const fleet = new GatewayFleet(
    () =>
      seen.joined
        ? {
            look: () => ({ hosts: seen.hosts, present: seen.present, spare: [] }),
            stop: async () => {},
          }
        : undefined,
    {
      ...{ min: 1, max: 8, coolDownMs: COOL_DOWN_MS, tickMs: TICK_MS },
      onFailure: () => {},
    },
  );
  let nowMs = 0;
  const look = (count: number): void => {
    for (let index = 0; index < count; index += 1) fleet.look((nowMs += TICK_MS));
  };
  return { fleet, seen, look };
}

describe('GatewayFleet', () => {
  it('says nothing before it joined and has looked a few times', () => {
    const { fleet, seen, look } = open();
    seen.joined = false;
    look(5);
    expect(fleet.order).toBeUndefined();
    seen.joined = true;
    look(2);
    expect(fleet.order).toBeUndefined();
    look(1);
    expect(fleet.order).toEqual({ present: 3, wanted: 3 });
  });

  it('does not have nodes stopped that were needed before it started, until a cool-down is over', () => {
    const { fleet, seen, look } = open();
    seen.hosts = 1;
    look(10);
    expect(fleet.order).toEqual({ present: 3, wanted: 3 });
    look(120);
    expect(fleet.order).toEqual({ present: 3, wanted: 1 });
  });

  it('takes its word back while it sees nobody', () => {
    const { fleet, seen, look } = open();
    look(5);
    seen.present = 0;
    look(1);
    expect(fleet.order).toBeUndefined();
    Object.assign(seen, { hosts: 5, present: 3 });
    look(1);
    expect(fleet.order).toEqual({ present: 3, wanted: 5 });
  });
});
