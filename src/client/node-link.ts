import { ConnectionError, DeadlineError, isSwarmError } from '../../protocols/errors.ts';
import {
  INFERENCE_VERSION,
  InferenceConnection,
  type InferenceRequest,
  type InferenceResponse,
} from '../../protocols/inference/index.ts';
import type { LoadReport, NodeId, VersionCid } from '../../protocols/types.ts';
import { coolingMs } from '../policy/routing.ts';
import { WindowedMin } from '../policy/windowed-min.ts';
import type { SwarmPeer } from '../swarm/peer.ts';

/** Weight of a new measurement in a smoothed value: half the memory is gone after four answers. */
const SMOOTHING = 0.2;

/** Round trips that are looked back on, and how long: a node that measured badly once is asked again soon. */
const ROUND_TRIP_WINDOW = { samples: 16, maxAgeMs: 10_000 };

/** Milliseconds after which a round trip is measured anew when the node might be chosen. */
const MEASURE_INTERVAL_MS = 1_000;

/** Below this many bytes a body says nothing of the path's bandwidth. */
const BANDWIDTH_SAMPLE_BYTES = 256 * 1024;

const DIAL_TIMEOUT_MS = 5_000;

interface ReportedLoad {
  load: LoadReport;
  atMs: number;
  sentSince: number;
}

/**
 * This client's side of one node: the long-lived stream to it, what was measured of it, and how it last failed.
 *
 * Invariant: every reservation is released on every way out of {@link infer}.
 */
export class NodeLink {
  readonly node: NodeId;
  readonly #peer: SwarmPeer;
  readonly #reports = new Map<VersionCid, ReportedLoad>();
  #connection: Promise<InferenceConnection> | undefined;
  /** The connection once it stands. */
  #open: InferenceConnection | undefined;
  readonly #roundTrip = new WindowedMin(ROUND_TRIP_WINDOW);
  #roundTripAtMs = 0;
  #bytesPerMs: number | null = null;
  #failuresInARow = 0;
  #coolingUntilMs = 0;

  constructor(node: NodeId, peer: SwarmPeer) {
    this.node = node;
    this.#peer = peer;
  }

  get roundTripMs(): number | null {
    return this.#roundTrip.value(Date.now());
  }

  get bytesPerMs(): number | null {
    return this.#bytesPerMs;
  }

  get coolingUntilMs(): number {
    return this.#coolingUntilMs;
  }

  /** The freshest load: what an answer carried, unless the announcement is younger. */
  loadOf(
    version: VersionCid,
    announced: LoadReport,
    announcedAtMs: number,
  ): { load: LoadReport; sentSince: number } {
    const reported = this.#reports.get(version);
    if (reported !== undefined && reported.atMs >= announcedAtMs) {
      return { load: reported.load, sentSince: reported.sentSince };
    }
    return { load: announced, sentSince: reported?.sentSince ?? 0 };
  }

  /**
   * Measures the round trip in the background where that was not done lately. The first requests to a node, with everything
   * cold, say little of its path, and who is not asked for them would never be measured again.
   */
  keepMeasured(): void {
    if (Date.now() - this.#roundTripAtMs > MEASURE_INTERVAL_MS) this.#open?.measure();
  }

  /**
   * Sends one request over the node's stream, dialling when there is none.
   *
   * @throws the node's typed refusal or failure, or {ERR_CONNECTION} when it cannot be reached.
   */
  async infer(
    request: InferenceRequest,
    bodyBytes: number,
    signal: AbortSignal,
  ): Promise<InferenceResponse> {
    const report = this.#reservationOf(request.version);
    report.sentSince += 1;
    try {
      const connection = await this.#connected(signal);
      // After the dial, which is paid once: what follows tells of the path.
      const startedAt = performance.now();
      const response = await connection.infer(request, { signal });
      this.#learn(response, bodyBytes, performance.now() - startedAt);
      this.#report(request.version, response.load);
      this.#failuresInARow = 0;
      this.#coolingUntilMs = 0;
      return response;
    } catch (error) {
      if (!signal.aborted) this.#failed(error, request.version);
      throw error;
    } finally {
      report.sentSince = Math.max(0, report.sentSince - 1);
    }
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    await connection?.close();
  }

  #reservationOf(version: VersionCid): ReportedLoad {
    let report = this.#reports.get(version);
    if (report === undefined) {
      report = {
        load: { inFlight: 0, queued: 0, slots: 1, serviceMs: null },
        atMs: 0,
        sentSince: 0,
      };
      this.#reports.set(version, report);
    }
    return report;
  }

  #report(version: VersionCid, load: LoadReport): void {
    const report = this.#reservationOf(version);
    report.load = load;
    report.atMs = Date.now();
  }

  #learn(response: InferenceResponse, bodyBytes: number, elapsedMs: number): void {
    const outsideMs = Math.max(0, elapsedMs - response.queueMs - response.executeMs);
    if (bodyBytes >= BANDWIDTH_SAMPLE_BYTES) {
      this.#bytesPerMs = smooth(this.#bytesPerMs, bodyBytes / Math.max(0.1, outsideMs));
    } else {
      this.#measured(outsideMs);
    }
  }

  #measured(roundTripMs: number): void {
    this.#roundTripAtMs = Date.now();
    this.#roundTrip.add(roundTripMs, this.#roundTripAtMs);
  }

  #failed(error: unknown, version: VersionCid): void {
    const code = isSwarmError(error) ? error.code : 'ERR_CONNECTION';
    if (code === 'ERR_BUSY' || code === 'ERR_LOADING') {
      const load = isSwarmError(error) ? error.details['load'] : undefined;
      if (isLoadReport(load)) this.#report(version, load);
      return;
    }
    if (code !== 'ERR_CONNECTION' && code !== 'ERR_INVALID_MESSAGE' && code !== 'ERR_INTERNAL') {
      return;
    }
    this.#failuresInARow += 1;
    this.#coolingUntilMs = Date.now() + coolingMs(this.#failuresInARow);
  }

  #connected(signal: AbortSignal): Promise<InferenceConnection> {
    if (this.#connection === undefined) {
      const opening = this.#dial();
      this.#connection = opening;
      opening.then(
        (connection) => {
          this.#open = connection;
          connection.onClose(() => this.#forget(opening));
        },
        () => this.#forget(opening),
      );
    }
    return abandonable(this.#connection, signal);
  }

  #forget(connection: Promise<InferenceConnection>): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#open = undefined;
  }

  async #dial(): Promise<InferenceConnection> {
    try {
      const signal = AbortSignal.timeout(DIAL_TIMEOUT_MS);
      const stream = await this.#peer.openStream(this.node, 'inference', INFERENCE_VERSION, signal);
      return new InferenceConnection(stream, { onRoundTrip: (ms) => this.#measured(ms) });
    } catch (cause) {
      throw new ConnectionError(`node ${this.node} could not be dialled`, {
        cause,
        details: { node: this.node, phase: 'dial' },
      });
    }
  }
}

function smooth(old: number | null, sample: number): number {
  return old === null ? sample : old + SMOOTHING * (sample - old);
}

function isLoadReport(value: unknown): value is LoadReport {
  return typeof value === 'object' && value !== null && 'queued' in value && 'slots' in value;
}

/** Stops waiting for a shared promise when the signal aborts; the promise itself goes on for the others. */
function abandonable<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason ?? new DeadlineError('aborted', 'dial'));
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
