import { describe, expect, it } from 'vitest';
import { elsewhere } from '../../../../node/scaler/wake-gate.ts';
import type { AnnouncedVersion, Announcement } from '../../../../protocols/capacity/index.ts';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import { announcement, VERSION } from '../../../vectors/capacity.ts';

const OWN = 'own' as NodeId;
const CID = 'version' as VersionCid;

interface Other extends Pick<AnnouncedVersion, 'state' | 'etaMs'> {
  readonly node?: Announcement['state'];
  readonly forMs?: number;
}

/** What a node is told that has a version on its disk while others are as they are. */
function asked(others: readonly Other[]): unknown {
  const holders = others.map(({ state, etaMs, node = 'serving' }, index) => {
    const said = { ...announcement, node: `other-${index}` as NodeId, state: node };
    return {
      node: { announcement: said, bytes: new Uint8Array(), heardAtMs: 0 },
      version: { ...VERSION, cid: CID, state, ...(etaMs === undefined ? {} : { etaMs }) },
      heardAtMs: 0,
    };
  });
  return elsewhere(CID, {
    node: OWN,
    view: { holders: () => holders },
    etaMs: 800,
    forMs: (node) => others[Number(node.replace('other-', ''))]?.forMs ?? 0,
  });
}

describe('elsewhere', () => {
  it('lets a node load what nobody serves or loads', () => {
    expect(asked([])).toBeUndefined();
    expect(asked([{ state: 'cold' }, { state: 'quarantined' }])).toBeUndefined();
    expect(asked([{ state: 'ready', node: 'draining' }])).toBeUndefined();
  });

  it('sends callers to those that serve it, and has them wait for the first that loads it', () => {
    expect(asked([{ state: 'ready' }])).toMatchObject({ code: 'ERR_BUSY', retryAfterMs: 500 });
    expect(
      asked([
        { state: 'loading', etaMs: 900 },
        { state: 'loading', etaMs: 700 },
      ]),
    ).toMatchObject({ code: 'ERR_LOADING', etaMs: 700 });
    expect(asked([{ state: 'loading' }])).toMatchObject({ code: 'ERR_LOADING', etaMs: null });
  });

  it('loads beside another that fetches it, or whose load is stuck', () => {
    expect(asked([{ state: 'loading', etaMs: 60_000 }])).toBeUndefined();
    expect(asked([{ state: 'loading', etaMs: 700, forMs: 14_999 }])).toBeDefined();
    expect(asked([{ state: 'loading', etaMs: 700, forMs: 15_000 }])).toBeUndefined();
  });
});
