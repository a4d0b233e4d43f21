import { atLeast, atMost, type Target } from '../report.ts';

export const LIBRARIES = ['grpc-js', 'connect'] as const;

export type Library = (typeof LIBRARIES)[number];

/** What was found of one library's server on one kind of request: the best of all rounds, column by column. */
export interface GrpcRow {
  readonly server: Library;
  readonly payloadBytes: number;
  readonly inFlight: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU microseconds of the server's process for each request. */
  readonly serverCpuUs: number;
}

/** That the library the gateway is built on is not the slower one. */
export function grpcTargets(rows: readonly GrpcRow[]): Target[] {
  return rows.flatMap((ours) => {
    if (ours.server !== 'grpc-js') return [];
    const { payloadBytes, inFlight } = ours;
    const peer = rows.find(
      (row) =>
        row.server === 'connect' && row.payloadBytes === payloadBytes && row.inFlight === inFlight,
    );
    if (peer === undefined) return [];
    const where = `${payloadBytes} B, ${inFlight} in flight: grpc-js / connect`;
    return [
      atLeast(`${where}, requests/s`, ours.requestsPerSecond / peer.requestsPerSecond, 1),
      atMost(`${where}, CPU of the server`, ours.serverCpuUs / peer.serverCpuUs, 1),
    ];
  });
}

export function best(samples: readonly GrpcRow[]): GrpcRow {
  const [first] = samples;
  if (first === undefined) throw new RangeError('expected a sample, found none');
  const least = (of: (row: GrpcRow) => number): number => Math.min(...samples.map(of));
  return {
    ...first,
    requestsPerSecond: Math.max(...samples.map((row) => row.requestsPerSecond)),
    p50Us: least((row) => row.p50Us),
    p99Us: least((row) => row.p99Us),
    serverCpuUs: least((row) => row.serverCpuUs),
  };
}
