import { describe, expect, it } from 'vitest';
import type { Announcement } from '../../../../protocols/capacity/index.ts';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import {
  MAX_VERSIONS_PER_NODE,
  MAX_VIEW_NODES,
  SwarmView,
  TOMBSTONE_MS,
} from '../../../../src/swarm/view.ts';
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

  it('knows who holds a version, until that node is gone, says so, or is heard no more', () => {
    const { view } = viewOf();
    const holds = (nowMs: number): boolean[] => [
      view.isHeld(VERSION.cid, nowMs),
      view.isHolder(NODE, VERSION.cid, nowMs),
      view.holders(VERSION.cid, nowMs).length > 0,
    ];
    expect(holds(100)).toEqual([true, true, true]);
    expect(holds(LEASE_MS)).toEqual([false, false, false]);
    view.add(said(2, { versions: [{ ...VERSION, state: 'gone' }] }), BYTES, 100);
    expect(holds(100)).toEqual([false, false, false]);
    view.add(said(3, { versions: [{ ...VERSION, state: 'cold' }] }), BYTES, 100);
    expect(holds(100)).toEqual([true, true, true]);
    view.bury(NODE, 200);
    expect(holds(200)).toEqual([false, false, false]);
    view.revive(NODE, 300);
    expect(holds(300)).toEqual([true, true, true]);
    expect(view.isHolder('12D3unknown' as NodeId, VERSION.cid, 300)).toBe(false);
  });

  it('knows no holder any more of a version that its node has told too many others since', () => {
    const { view } = viewOf();
    const other = (index: number) => ({ ...VERSION, cid: `other-${index}` as VersionCid });
    for (let index = 0; index < MAX_VERSIONS_PER_NODE - 1; index += 1) {
      view.add(said(2 + index, { versions: [other(index)] }), BYTES, 100);
    }
    expect(view.isHeld(VERSION.cid, 100)).toBe(true);
    view.add(said(2_000, { versions: [other(2_000)] }), BYTES, 100);
    expect(view.isHeld(VERSION.cid, 100)).toBe(false);
    expect(view.holders(VERSION.cid, 100)).toEqual([]);
  });

  it('knows no holder any more that too many other nodes were heard after', () => {
    const { view } = viewOf();
    const node = (index: number) => ({ node: `node-${index}` as NodeId, versions: [] });
    for (let index = 1; index < MAX_VIEW_NODES; index += 1)
      view.add(said(1, node(index)), BYTES, 0);
    expect(view.isHeld(VERSION.cid, 0)).toBe(true);
    view.add(said(1, node(0)), BYTES, 0);
    expect(view.nodes(0)).toHaveLength(MAX_VIEW_NODES);
    expect(view.isHeld(VERSION.cid, 0)).toBe(false);
  });

  it('buries nobody it does not know', () => {
    const { view } = viewOf();
    expect(view.bury('12D3unknown' as NodeId, 0)).toBeUndefined();
    expect(view.buried('12D3unknown' as NodeId, 0)).toBeUndefined();
  });
});
