import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../protocols/manifest/index.ts';
import { diffManifests } from '../../../../src/client/manifest-diff.ts';
import { createVersionFixture } from '../../../support/version-fixture.ts';

const { manifest } = createVersionFixture({
  files: { 'model.onnx': new Uint8Array([1]), 'weights.bin': new Uint8Array([2, 3]) },
});

function changed(changes: Partial<Manifest>): Manifest {
  return { ...manifest, ...changes };
}

describe('diffManifests', () => {
  it('finds nothing between a version and itself', () => {
    expect(diffManifests(manifest, structuredClone(manifest))).toEqual([]);
  });

  it('tells files by name: added, removed, changed', () => {
    const other = createVersionFixture({
      files: { 'model.onnx': new Uint8Array([9, 9]), 'labels.txt': new Uint8Array([4]) },
    });
    expect(diffManifests(manifest, other.manifest)).toEqual([
      {
        field: 'files.model.onnx',
        kind: 'changed',
        from: '1 bytes, sha256 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a',
        to: expect.stringMatching(/^2 bytes, sha256 [0-9a-f]{64}$/),
      },
      { field: 'files.weights.bin', kind: 'removed', from: expect.stringContaining('2 bytes') },
      { field: 'files.labels.txt', kind: 'added', to: expect.stringContaining('1 bytes') },
    ]);
  });

  it('tells inputs and outputs by name: datatype, shape and place', () => {
    const [x] = manifest.inputs;
    const extra = { name: 'mask', datatype: 'INT64', shape: ['batch', null] } as const;
    const inputs = [extra, { ...(x ?? expect.fail('no input')), shape: [2] }];
    expect(diffManifests(manifest, changed({ inputs }))).toEqual([
      { field: 'inputs.x.position', kind: 'changed', from: '0', to: '1' },
      { field: 'inputs.x.shape', kind: 'changed', from: '[1]', to: '[2]' },
      { field: 'inputs.mask.position', kind: 'added', to: '0' },
      { field: 'inputs.mask.datatype', kind: 'added', to: 'INT64' },
      { field: 'inputs.mask.shape', kind: 'added', to: '["batch",null]' },
    ]);
  });

  it('tells deployment and metadata field by field', () => {
    const before = changed({
      deployment: { minReplicas: 1 },
      metadata: { licence: 'MIT', labels: { team: 'vision' } },
    });
    const after = changed({
      deployment: { minReplicas: 2, maxReplicas: 4 },
      metadata: { task: 'image-classification', labels: { team: 'audio' } },
    });
    expect(diffManifests(before, after)).toEqual([
      { field: 'deployment.minReplicas', kind: 'changed', from: '1', to: '2' },
      { field: 'metadata.licence', kind: 'removed', from: 'MIT' },
      { field: 'metadata.labels.team', kind: 'changed', from: 'vision', to: 'audio' },
      { field: 'deployment.maxReplicas', kind: 'added', to: '4' },
      { field: 'metadata.task', kind: 'added', to: 'image-classification' },
    ]);
  });

  it('cuts what is long around the first difference', () => {
    const labels = (last: string) => [...Array.from({ length: 200 }, (_, i) => `class ${i}`), last];
    const [change] = diffManifests(
      changed({ classLabels: labels('cat') }),
      changed({ classLabels: labels('dog') }),
    );
    expect(change).toEqual({
      field: 'classLabels',
      kind: 'changed',
      from: '…s 198","class 199","cat"]',
      to: '…s 198","class 199","dog"]',
    });
  });
});
