import { describe, expect, it } from 'vitest';
import { parseUpOptions } from '../../../../../src/cli/up/up-options.ts';

describe('parseUpOptions', () => {
  it('starts three nodes and stays up when nothing is said', () => {
    expect(parseUpOptions({})).toEqual({ nodes: 3, maxNodes: 3, demo: false, once: false });
  });

  it('takes 1 to 16 nodes and nothing beyond', () => {
    expect(parseUpOptions({ nodes: '1' }).nodes).toBe(1);
    expect(parseUpOptions({ nodes: '16' }).nodes).toBe(16);
    for (const nodes of ['0', '17', '-1', '2.5', 'many', '']) {
      expect(() => parseUpOptions({ nodes })).toThrow(
        `--nodes is ${JSON.stringify(nodes)}, expected an integer from 1 to 16`,
      );
    }
  });

  it('takes as many nodes at most as it starts with, or more', () => {
    expect(parseUpOptions({ nodes: '2', maxNodes: '2' }).maxNodes).toBe(2);
    expect(parseUpOptions({ nodes: '2', maxNodes: '16' }).maxNodes).toBe(16);
    for (const maxNodes of ['0', '17', 'many']) {
      expect(() => parseUpOptions({ nodes: '2', maxNodes })).toThrow(
        `--max-nodes is ${JSON.stringify(maxNodes)}, expected an integer from 2 to 16`,
      );
    }
  });

  it('says why so few nodes at most are too few, and what to give instead', () => {
    expect(() => parseUpOptions({ maxNodes: '2' })).toThrow(
      '--max-nodes is 2, expected at least 3, as many as start when --nodes is not given; give --nodes too, 2 or fewer',
    );
    expect(() => parseUpOptions({ nodes: '4', maxNodes: '2' })).toThrow(
      '--max-nodes is 2, expected at least 4, as many as --nodes starts',
    );
  });

  it('wants somebody to take over in a demo', () => {
    expect(() => parseUpOptions({ nodes: '1', demo: true })).toThrow(
      '--nodes is 1, expected at least 2 with --demo',
    );
    expect(parseUpOptions({ nodes: '2', demo: true, once: true })).toEqual({
      nodes: 2,
      maxNodes: 2,
      demo: true,
      once: true,
    });
  });
});
