import { atLeast, type Target } from '../report.ts';
import type { Form } from './request.ts';
import type { ModelName } from './models.ts';
import type { ServerName } from './servers.ts';

/** What was found of one server, asked in one form for one model by so many callers. */
export interface GatewayRow {
  readonly server: ServerName;
  readonly form: Form;
  readonly model: ModelName;
  readonly callers: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident before the first request: of the gateway with its node. */
  readonly idleMib: number | null;
  /** Until it answered: of the gateway in a swarm that is there. */
  readonly startMs: number;
}

const PYTHON_SERVERS = ['mlserver', 'litserve', 'bentoml'] as const;

/** Throughput of the gateway over that of the best peer: a hop more than any of these has. */
const GOALS = [
  { peers: PYTHON_SERVERS, model: 'tiny', ratio: 2 },
  { peers: PYTHON_SERVERS, model: 'heavy', ratio: 1 },
  { peers: ['fastify'], model: 'tiny', ratio: 0.35 },
  { peers: ['fastify'], model: 'heavy', ratio: 0.7 },
] as const;

/**
 * Each of the gateway's binary forms against the best of its peers, by throughput: the most requests a second at any number of
 * callers. How long one caller alone waits stands in the rows.
 */
export function gatewayTargets(rows: readonly GatewayRow[]): Target[] {
  const best = (of: (row: GatewayRow) => boolean): number =>
    Math.max(0, ...rows.filter(of).map(({ requestsPerSecond }) => requestsPerSecond));
  return GOALS.flatMap(({ peers, model, ratio }) => {
    const known: readonly string[] = peers;
    const theirs = best((row) => row.model === model && known.includes(row.server));
    if (theirs === 0) return [];
    return (['binary', 'grpc'] as const).flatMap((form) => {
      const ours = best(
        (row) => row.model === model && row.server === 'gateway' && row.form === form,
      );
      if (ours === 0) return [];
      return [atLeast(`${form} / ${peers.join(' or ')}, ${model}`, ours / theirs, ratio)];
    });
  });
}
