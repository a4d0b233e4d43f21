import { describe, expect, it } from 'vitest';
import type { Announcement } from '../../../../protocols/capacity/index.ts';
import type { NodeId } from '../../../../protocols/types.ts';
import { SwarmView, TOMBSTONE_MS } from '../../../../src/swarm/view.ts';
import { announcement, VERSION } from '../../../vectors/capacity.ts';

const NODE = announcement.node;
const BYTES = new Uint8Array();
const LEASE_MS = 30_000;

const said = (sequence: number, more: Partial<Announcement> = {}): Announcement => ({
  ...announcement,
  leaseMs: LEASE_MS,
  sequence,
  versions: [{ ...VERSION, state: 'ready' }],
  ...more,
});

function viewOf(): { readonly view: SwarmView; readonly heard: number[] } {
  const view = new SwarmView();
  view.add(said(1), BYTES, 0);
  const heard: number[] = [];
  view.onChange(({ sequence }) => heard.push(sequence));
  return { view, heard };
}

describe('SwarmView', () => {
  it('shows nothing of a buried node, whatever is heard of it', () => {
    const { view, heard } = viewOf();
    expect(view.bury(NODE, 100)?.announcement.sequence).toBe(1);
    expect(view.add(said(2), BYTES, 200)).toBe(true);
    expect(view.node(NODE, 200)).toBeUndefined();
    expect(view.nodes(200)).toEqual([]);
    expect(view.holders(VERSION.cid, 200)).toEqual([]);
    expect(view.announcements(200)).toEqual([]);
    expect(view.buriedHolders(VERSION.cid, 200)).toEqual([NODE]);
    expect(heard).toEqual([]);
  });

  it('has a node that is revived as it was last heard of, and tells of it', () => {
    const { view, heard } = viewOf();
    view.bury(NODE, 100);
    view.add(said(2, { zone: 'cellar' }), BYTES, 200);
    expect(view.revive(NODE, 300)).toBe(true);
    expect(view.node(NODE, 300)?.announcement.zone).toBe('cellar');
    expect(view.ready(VERSION.cid, 300)).toHaveLength(1);
    expect(heard).toEqual([2]);
    expect(view.revive(NODE, 300)).toBe(false);
  });

  it('revives nothing whose lease ended while it was buried', () => {
    const { view } = viewOf();
    view.bury(NODE, 100);
    view.revive(NODE, LEASE_MS);
    expect(view.node(NODE, LEASE_MS)).toBeUndefined();
  });

  it('takes an older word for nothing new, also of a buried node', () => {
    const { view } = viewOf();
    view.bury(NODE, 100);
    expect(view.add(said(1), BYTES, 200)).toBe(false);
  });

  it('believes what is heard of a node again once its tombstone is as old as the longest lease', () => {
    const { view } = viewOf();
    view.bury(NODE, 0);
    expect(view.buried(NODE, TOMBSTONE_MS - 1)).toBeDefined();
    view.add(said(2), BYTES, TOMBSTONE_MS);
    expect(view.node(NODE, TOMBSTONE_MS)).toBeDefined();
  });

  it('buries nobody it does not know', () => {
    const { view } = viewOf();
    expect(view.bury('12D3unknown' as NodeId, 0)).toBeUndefined();
    expect(view.buried('12D3unknown' as NodeId, 0)).toBeUndefined();
  });
});
