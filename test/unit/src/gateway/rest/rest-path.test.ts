import { describe, expect, it } from 'vitest';
import { parseRestPath } from '../../../../../src/gateway/rest/rest-path.ts';

describe('parseRestPath', () => {
  it.each([
    ['/v2', { kind: 'server-metadata' }],
    ['/v2/', { kind: 'server-metadata' }],
    ['/v2/health/live', { kind: 'server-live' }],
    ['/v2/health/ready/', { kind: 'server-ready' }],
    ['/v2/repository/index', { kind: 'repository-index' }],
    ['/openapi.json', { kind: 'api-description' }],
    ['/v2/repository/models/a/b/load', { kind: 'model-load', model: 'a/b' }],
    ['/v2/repository/models/a%2Fb/unload', { kind: 'model-unload', model: 'a/b' }],
    ['/v2/repository/swarm/models/load/load', { kind: 'model-load', model: 'load' }],
    ['/v2/models/stats', { kind: 'all-statistics' }],
    ['/v2/cudasharedmemory/region/x/register', { kind: 'shared-memory' }],
    ['/v2/models/m', { kind: 'model-metadata', model: 'm', version: '' }],
    ['/v2/models/m/infer', { kind: 'infer', model: 'm', version: '' }],
    ['/v2/models/a/b/generate', { kind: 'generate', model: 'a/b', version: '' }],
    [
      '/v2/models/m/versions/3/generate_stream',
      { kind: 'generate-stream', model: 'm', version: '3' },
    ],
    ['/v2/models/m/config', { kind: 'model-config', model: 'm', version: '' }],
    ['/v2/models/m/stats', { kind: 'model-statistics', model: 'm', version: '' }],
    ['/v2/models/m/versions/3/infer', { kind: 'infer', model: 'm', version: '3' }],
    ['/v2/models/m/versions/beta', { kind: 'model-metadata', model: 'm', version: 'beta' }],
  ])('reads %s', (path, route) => {
    expect(parseRestPath(path)).toEqual(route);
  });

  it.each([
    ['/v2/models/org/model/ready', 'org/model'],
    ['/v2/models/org%2Fmodel/ready', 'org/model'],
    ['/v2/models/org%2fready/ready', 'org/ready'],
    ['/v2/models/versions/2/ready', 'versions/2'],
  ])('takes a name with a slash from %s', (path, model) => {
    expect(parseRestPath(path)).toEqual({ kind: 'model-ready', model, version: '' });
  });

  it.each([
    '/',
    '/v1/models',
    '/v2x',
    '/v2/models',
    '/v2/models/',
    '/v2/nothing',
    '/v2/models//infer',
    '/v2/models/%E0%A4%A/infer',
    '/v2/models/m/versions/%zz/infer',
    '/v2/constructor',
    '/v2/repository/models/load',
    '/v2/repository/models/%zz/load',
  ])('finds nothing at %s', (path) => {
    expect(parseRestPath(path)).toBeUndefined();
  });
});
