import { atLeast, atMost, type Target } from '../report.ts';
import type { Mode } from './service.ts';
import { OURS, type TransportName } from './transport.ts';

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

/** The goals of the inference protocol, as far as the rows tell. */
export function rpcTargets(rows: readonly RpcRow[]): Target[] {
  const targets: Target[] = [];
  for (const ours of rows) {
    if (ours.transport !== OURS) continue;
    const { mode, payloadBytes, inFlight } = ours;
    const peer = (transport: TransportName) =>
      rows.find(
        (row) =>
          row.transport === transport &&
          row.mode === mode &&
          row.payloadBytes === payloadBytes &&
          row.inFlight === inFlight,
      );
    const where = `${mode}, ${payloadBytes} B, ${inFlight} in flight`;
    const https = peer('https');
    const grpc = peer('grpc tls');
    if (mode === 'echo' && inFlight === 1 && https !== undefined) {
      targets.push(atMost(`${where}: p50 / https`, ours.p50Us / https.p50Us, 1.5));
    }
    if (mode === 'echo' && inFlight === 32 && payloadBytes === 64 && https !== undefined) {
      const ratio = ours.requestsPerSecond / https.requestsPerSecond;
      targets.push(atLeast(`${where}: requests/s / https`, ratio, 1));
    }
    if (grpc === undefined || (mode === 'echo' && inFlight !== 32)) continue;
    const ratio = ours.requestsPerSecond / grpc.requestsPerSecond;
    targets.push(atLeast(`${where}: requests/s / grpc tls`, ratio, mode === 'echo' ? 2 : 1));
  }
  return targets;
}
