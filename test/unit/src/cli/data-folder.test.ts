import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataFolder } from '../../../../src/cli/data-folder.ts';

describe('dataFolder', () => {
  it('is the folder that was set, made absolute', () => {
    expect(dataFolder('node', 'here', { XDG_DATA_HOME: '/xdg' })).toBe(path.resolve('here'));
  });

  it('is below XDG_DATA_HOME, one for each role', () => {
    const env = { XDG_DATA_HOME: '/xdg' };
    expect(dataFolder('node', undefined, env)).toBe('/xdg/gpu-swarm/node');
    expect(dataFolder('publisher', undefined, env)).toBe('/xdg/gpu-swarm/publisher');
  });

  it.each([undefined, '', 'relative'])(
    'is below the home folder when XDG_DATA_HOME is %j',
    (xdg) => {
      expect(dataFolder('bootstrap', undefined, { XDG_DATA_HOME: xdg })).toBe(
        path.join(os.homedir(), '.local', 'share', 'gpu-swarm', 'bootstrap'),
      );
    },
  );
});
