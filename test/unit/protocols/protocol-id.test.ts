import { describe, expect, it } from 'vitest';
import { DEFAULT_NETWORK, parseNetwork, protocolId } from '../../../protocols/protocol-id.ts';
import { refusal } from '../../support/refusal.ts';

describe('parseNetwork', () => {
  it.each([DEFAULT_NETWORK, 'a', '0', 'lab-1', 'x'.repeat(32)])('takes %j', (network) => {
    expect(parseNetwork(network)).toBe(network);
  });

  it.each(['', '-lab', 'Lab', 'lab_1', 'a/b', 'lab\n', 'x'.repeat(33)])('refuses %j', (network) => {
    expect(() => parseNetwork(network)).toThrow(
      refusal(
        'ERR_CONFIG',
        `network ${JSON.stringify(network)} is not valid, expected 1 to 32 of a-z, 0-9 and '-'`,
      ),
    );
  });

  it('shows a long text cut short', () => {
    expect(() => parseNetwork('x'.repeat(10_000))).toThrow(`network "${'x'.repeat(80)}" is not`);
  });
});

describe('protocolId', () => {
  it('puts network, name and version in their places', () => {
    expect(protocolId('main', 'inference', '1.0.0')).toBe('/gpu-swarm/main/inference/1.0.0');
  });
});
