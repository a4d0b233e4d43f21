import { describe, expect, it } from 'vitest';
import { FleetSizer } from '../../../../src/fleet/fleet-sizer.ts';

const TICK_MS = 1_000;
const COOL_DOWN_MS = 60_000;

function open() {
  const seen = { hosts: 3, present: 3, joined: true, surveys: 0 };
  const fleet = new FleetSizer(
    () =>
      seen.joined
        ? {
            survey: async () => {
              seen.surveys += 1;
            },
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
  const look = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) await fleet.look((nowMs += TICK_MS));
  };
  return { fleet, seen, look };
}

describe('FleetSizer', () => {
  it('says nothing before it joined and has looked a few times', async () => {
    const { fleet, seen, look } = open();
    seen.joined = false;
    await look(5);
    expect(fleet.order).toBeUndefined();
    seen.joined = true;
    await look(2);
    expect(fleet.order).toBeUndefined();
    await look(1);
    expect(fleet.order).toEqual({ present: 3, wanted: 3 });
  });

  it('does not have nodes stopped that were needed before it started, until a cool-down is over', async () => {
    const { fleet, seen, look } = open();
    seen.hosts = 1;
    await look(10);
    expect(fleet.order).toEqual({ present: 3, wanted: 3 });
    await look(120);
    expect(fleet.order).toEqual({ present: 3, wanted: 1 });
  });

  it('takes its word back while it sees nobody', async () => {
    const { fleet, seen, look } = open();
    await look(5);
    seen.present = 0;
    await look(1);
    expect(fleet.order).toBeUndefined();
    Object.assign(seen, { hosts: 5, present: 3 });
    await look(2);
    expect(fleet.order).toBeUndefined();
    await look(1);
    expect(fleet.order).toEqual({ present: 3, wanted: 5 });
  });

  it('has nobody stopped for a cool-down after it saw nobody, when few come back first', async () => {
    const { fleet, seen, look } = open();
    await look(120);
    expect(fleet.order).toEqual({ present: 3, wanted: 3 });
    seen.present = 0;
    await look(120);
    Object.assign(seen, { hosts: 1, present: 3 });
    await look(10);
    expect(fleet.order).toEqual({ present: 3, wanted: 3 });
    await look(120);
    expect(fleet.order).toEqual({ present: 3, wanted: 1 });
  });

  it('asks who is there before the first look, and again once it saw nobody', async () => {
    const { seen, look } = open();
    await look(5);
    expect(seen.surveys).toBe(1);
    seen.present = 0;
    await look(1);
    seen.present = 3;
    await look(5);
    expect(seen.surveys).toBe(2);
  });
});
