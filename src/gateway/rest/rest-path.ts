import { BoundedMap } from '../../../protocols/bounded-map.ts';
import type { ApiGroup } from '../access/restricted-groups.ts';

/** What a path of the REST API names; the method is checked by whoever serves it. */
export type RestRoute =
  | { readonly kind: 'server-metadata' | 'server-live' | 'server-ready' | 'all-statistics' }
  | { readonly kind: 'repository-index' | 'api-description' }
  | { readonly kind: 'shared-memory' }
  | {
      readonly kind: 'model-metadata' | 'model-ready' | 'model-config' | 'model-statistics';
      readonly model: string;
      readonly version: string;
    }
  | { readonly kind: 'model-load' | 'model-unload'; readonly model: string }
  | {
      readonly kind: 'infer' | 'generate' | 'generate-stream';
      readonly model: string;
      readonly version: string;
    };

const ACTIONS = {
  infer: 'infer',
  generate: 'generate',
  generate_stream: 'generate-stream',
  ready: 'model-ready',
  config: 'model-config',
  stats: 'model-statistics',
} as const;

/** Segments after `/v2` that are routes of their own. */
const FIXED: Readonly<Record<string, RestRoute['kind']>> = {
  '': 'server-metadata',
  'health/live': 'server-live',
  'health/ready': 'server-ready',
  'models/stats': 'all-statistics',
  'repository/index': 'repository-index',
};

/** The repository that Triton's routes may name is the swarm, whatever it is called. */
const REPOSITORY_MODEL = /^repository\/(?:[^/]+\/)?models\/(.+)\/(load|unload)$/;

/** Routes of paths that were read, and characters of such a path at most: the same few are asked again and again. */
const MAX_KEPT = 256;
const MAX_KEPT_LENGTH = 256;

const ROUTES = new BoundedMap<string, RestRoute>(MAX_KEPT);

/** The group of the API that each route is of. */
const GROUPS: Readonly<Record<RestRoute['kind'], ApiGroup>> = {
  'server-live': 'health',
  'server-ready': 'health',
  'model-ready': 'health',
  'server-metadata': 'metadata',
  'api-description': 'metadata',
  'model-metadata': 'metadata',
  infer: 'inference',
  generate: 'inference',
  'generate-stream': 'inference',
  'shared-memory': 'shared-memory',
  'model-config': 'model-config',
  'repository-index': 'model-repository',
  'model-load': 'model-repository',
  'model-unload': 'model-repository',
  'model-statistics': 'statistics',
  'all-statistics': 'statistics',
};

/** Routes that do something are asked by POST, those that tell something by GET. */
const POSTED: ReadonlySet<RestRoute['kind']> = new Set([
  'infer',
  'generate',
  'generate-stream',
  'repository-index',
  'model-load',
  'model-unload',
]);

export function groupOf({ kind }: RestRoute): ApiGroup {
  return GROUPS[kind];
}

export function methodOf({ kind }: RestRoute): 'GET' | 'POST' {
  return POSTED.has(kind) ? 'POST' : 'GET';
}

/**
 * The route of a path such as `/v2/models/publisher/name/versions/3/infer`; undefined when there is none.
 *
 * Model names may contain `/`, as it is or as `%2F`, so that the path is read from its end. An escaped name is never taken for a
 * word of the API.
 */
export function parseRestPath(path: string): RestRoute | undefined {
  const known = ROUTES.get(path);
  if (known !== undefined) return known;
  const route = readPath(path);
  if (route !== undefined && path.length <= MAX_KEPT_LENGTH) ROUTES.set(path, route);
  return route;
}

function readPath(path: string): RestRoute | undefined {
  if (path === '/openapi.json') return { kind: 'api-description' };
  if (path !== '/v2' && !path.startsWith('/v2/')) return undefined;
  const rest = path.slice('/v2/'.length).replace(/\/$/, '');
  if (Object.hasOwn(FIXED, rest)) return { kind: FIXED[rest] } as RestRoute;
  if (/^(?:system|cuda)sharedmemory\//.test(rest)) return { kind: 'shared-memory' };
  const [, changed, change] = REPOSITORY_MODEL.exec(rest) ?? [];
  if (changed !== undefined) {
    const model = decode(changed);
    const kind = change === 'load' ? 'model-load' : 'model-unload';
    return model === undefined ? undefined : { kind, model };
  }
  const segments = rest.split('/');
  if (segments.shift() !== 'models') return undefined;
  const last = segments.at(-1) ?? '';
  const action = Object.hasOwn(ACTIONS, last) ? ACTIONS[last as keyof typeof ACTIONS] : undefined;
  if (action !== undefined) segments.pop();
  const hasVersion = segments.length > 2 && segments.at(-2) === 'versions';
  const version = hasVersion ? decode(segments.pop()) : '';
  if (hasVersion) segments.pop();
  const model = decode(segments.join('/'));
  if (model === undefined || model === '' || version === undefined) return undefined;
  return { kind: action ?? 'model-metadata', model, version };
}

function decode(text = ''): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A broken escape names nothing.
    return undefined;
  }
}
