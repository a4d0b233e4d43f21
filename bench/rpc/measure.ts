import type { RpcClient } from './transport.ts';

/** One closed-loop measurement as the client saw it. */
export interface Measurement {
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers within the window, per second of it. */
  readonly requestsPerSecond: number;
  /** All that were answered, those after the window too: what CPU time is divided by. */
  readonly requests: number;
  /** CPU time of the client's process over all of them, in microseconds. */
  readonly cpuUs: number;
}

export interface MeasureOptions {
  readonly inFlight: number;
  readonly seconds: number;
}

/**
 * Keeps `inFlight` requests under way for `seconds`, each sent when another was answered.
 *
 * @throws what a call rejects with, or when an answer has not `expectedBytes`.
 */
export async function measure(
  client: Pick<RpcClient, 'call'>,
  payload: Buffer,
  expectedBytes: number,
  { inFlight, seconds }: MeasureOptions,
): Promise<Measurement> {
  const latenciesUs: number[] = [];
  let inWindow = 0;
  const cpu = process.cpuUsage();
  const end = performance.now() + seconds * 1000;
  const keepBusy = async (): Promise<void> => {
    for (let sentAt = performance.now(); sentAt < end; ) {
      const reply = await client.call(payload);
      if (reply.byteLength !== expectedBytes) {
        throw new Error(`expected an answer of ${expectedBytes} bytes, found ${reply.byteLength}`);
      }
      const now = performance.now();
      latenciesUs.push((now - sentAt) * 1000);
      if (now <= end) inWindow += 1;
      sentAt = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, keepBusy));
  const { user, system } = process.cpuUsage(cpu);
  const sorted = Float64Array.from(latenciesUs).sort();
  return {
    p50Us: quantile(sorted, 0.5),
    p99Us: quantile(sorted, 0.99),
    requestsPerSecond: inWindow / seconds,
    requests: sorted.length,
    cpuUs: user + system,
  };
}

/** The smallest value that at least this share of the others does not exceed. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
