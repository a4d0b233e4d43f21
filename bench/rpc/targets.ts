import { atLeast, atMost, type Target } from '../report.ts';
import type { Mode } from './service.ts';
import { LIMIT, OURS, type TransportName } from './transports.ts';

/** What was found of one transport on one kind of traffic: the best of all rounds, column by column. */
export interface RpcRow {
  readonly mode: Mode;
  readonly payloadBytes: number;
  readonly inFlight: number;
  readonly transport: TransportName;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly requestsPerSecond: number;
  /** CPU time per request. */
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
  /** This transport's p50 as a multiple of ours; null when ours was not measured. */
  readonly p50PerOurs: number | null;
  readonly requestsPerOurs: number | null;
}

interface Goal {
  readonly mode: Mode;
  readonly inFlight: number;
  /** Bytes of a request that it is for; all when undefined. */
  readonly payloads?: readonly number[];
  readonly peer: TransportName;
  /** Of ours over the peer's: `p50` at most so much, `requests` a second at least so much. */
  readonly of: 'p50' | 'requests';
  readonly ratio: number;
}

const SMALL = [64, 16 * 1024];
const LARGE = [600 * 1024];

/** Encrypted beside encrypted: grpc-js is meant with TLS. */
const GOALS: readonly Goal[] = [
  { mode: 'echo', inFlight: 1, peer: 'https', of: 'p50', ratio: 1 },
  { mode: 'echo', inFlight: 32, peer: LIMIT, of: 'requests', ratio: 0.5 },
  { mode: 'echo', inFlight: 32, payloads: SMALL, peer: 'https', of: 'requests', ratio: 1.5 },
  { mode: 'echo', inFlight: 32, payloads: SMALL, peer: 'grpc tls', of: 'requests', ratio: 4 },
  { mode: 'echo', inFlight: 32, payloads: LARGE, peer: 'https', of: 'requests', ratio: 0.8 },
  { mode: 'echo', inFlight: 32, payloads: LARGE, peer: 'grpc tls', of: 'requests', ratio: 2 },
  { mode: 'executor', inFlight: 1, peer: 'grpc tls', of: 'requests', ratio: 1 },
  { mode: 'executor', inFlight: 32, payloads: SMALL, peer: 'grpc tls', of: 'requests', ratio: 2 },
  { mode: 'executor', inFlight: 32, payloads: LARGE, peer: 'grpc tls', of: 'requests', ratio: 1.3 },
];

/** The goals of the inference protocol, as far as the rows tell. */
export function rpcTargets(rows: readonly RpcRow[]): Target[] {
  return rows
    .filter(({ transport }) => transport === OURS)
    .flatMap((ours) => {
      const { mode, payloadBytes, inFlight } = ours;
      const where = `${mode}, ${payloadBytes} B, ${inFlight} in flight`;
      return GOALS.flatMap((goal) => {
        const { payloads = [payloadBytes], ratio } = goal;
        if (goal.mode !== mode || goal.inFlight !== inFlight || !payloads.includes(payloadBytes)) {
          return [];
        }
        const peer = rows.find(
          (row) =>
            row.transport === goal.peer &&
            row.mode === mode &&
            row.payloadBytes === payloadBytes &&
            row.inFlight === inFlight,
        );
        if (peer === undefined) return [];
        if (goal.of === 'p50') {
          return atMost(`${where}: p50 / ${goal.peer}`, ours.p50Us / peer.p50Us, ratio);
        }
        const found = ours.requestsPerSecond / peer.requestsPerSecond;
        return atLeast(`${where}: requests/s / ${goal.peer}`, found, ratio);
      });
    });
}
