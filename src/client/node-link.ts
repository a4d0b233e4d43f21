import { BoundedMap } from '../../protocols/bounded-map.ts';
import { ConnectionError, DeadlineError, isSwarmError } from '../../protocols/errors.ts';
import {
  INFERENCE_VERSION,
  InferenceConnection,
  type InferenceRequest,
  type InferenceResponse,
  type TransferListener,
} from '../../protocols/inference/index.ts';
import { elementsOf } from '../../protocols/tensor.ts';
import type { LoadReport, NodeId, VersionCid } from '../../protocols/types.ts';
import { NodeRecord } from '../policy/node-record.ts';
import { WindowedMin } from '../policy/windowed-min.ts';
import type { SwarmPeer } from '../swarm/peer.ts';

/** Weight of a new measurement in a smoothed value: half the memory is gone after four answers. */
const SMOOTHING = 0.2;

/** Round trips that are looked back on, and how long: a node that measured badly once is asked again soon. */
const ROUND_TRIP_WINDOW = { samples: 16, maxAgeMs: 10_000 };

/** Below this many bytes a body says nothing of the path's bandwidth. */
const BANDWIDTH_SAMPLE_BYTES = 256 * 1024;

const DIAL_TIMEOUT_MS = 5_000;

/** Milliseconds, and round trips, without the pong that is owed after which a node is not chosen while others are well. */
const SUSPECT_MS = 500;
const SUSPECT_ROUND_TRIPS = 4;

/** Milliseconds of a dial after which the same holds: it takes four round trips, and this is four of the longest there are. */
const SUSPECT_DIAL_MS = 1_000;

/** Milliseconds between two looks for a node: all the requests that break with one connection set off one. */
const SUSPECT_PAUSE_MS = 500;

/** Milliseconds since its last request for which a node is asked for a sign of life each second, so that the next one meets no dead node. */
const KEEP_ALIVE_MS = 60_000;

/** Versions of one node that a client remembers: those not asked for longest go first. */
const MAX_RECORDS = 256;

export interface SendInit {
  readonly bodyBytes: number;
  readonly signal: AbortSignal;
  /** Called when the answer begins to come, and for each further piece of it. */
  readonly onOutput?: (() => void) | undefined;
  /** Hears of the bytes that go and come. */
  readonly onTransfer?: TransferListener | undefined;
  /** Looks at the answer before it counts as one: what it rejects with is how the node failed. @default any answer is one */
  readonly check?: ((response: InferenceResponse) => Promise<void>) | undefined;
}

/** What a request that failed was. */
interface FailedRequest {
  readonly sentAtMs: number;
  readonly bodyBytes: number;
  /** Whether it asked for a receipt. */
  readonly receipt: boolean;
}

/**
 * This client's side of one node: the long-lived stream to it, what was measured of it, and how it last failed.
 *
 * Invariant: every reservation is released on every way out of {@link infer}.
 */
export class NodeLink {
  readonly node: NodeId;
  readonly #peer: SwarmPeer;
  readonly #records = new BoundedMap<VersionCid, NodeRecord>(MAX_RECORDS);
  #connection: Promise<InferenceConnection> | undefined;
  /** The connection once it stands. */
  #open: InferenceConnection | undefined;
  /** When the dial that is under way began, on the clock of `performance`; infinite when none is. */
  #dialledAtMs = Number.POSITIVE_INFINITY;
  readonly #roundTrip = new WindowedMin(ROUND_TRIP_WINDOW);
  #bytesPerMs: number | null = null;
  /** When the last request was sent, on the clock of `performance`. */
  #sentAtMs = Number.NEGATIVE_INFINITY;

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

  /** True while there is a stream to the node that requests went over of late. */
  get inUse(): boolean {
    return this.#open !== undefined && performance.now() - this.#sentAtMs < KEEP_ALIVE_MS;
  }

  /** True while the node owes a sign of life for longer than its path takes: it may be dead, frozen or cut off. */
  get suspect(): boolean {
    if (performance.now() - this.#dialledAtMs > SUSPECT_DIAL_MS) return true;
    const owedMs = this.#open?.owedMs ?? 0;
    return owedMs > Math.max(SUSPECT_MS, SUSPECT_ROUND_TRIPS * (this.roundTripMs ?? 0));
  }

  /** What is known of a version here; where nothing is yet, since when the node is known to have it. */
  recordOf(version: VersionCid, knownSinceMs = Date.now()): NodeRecord {
    let record = this.#records.get(version);
    if (record === undefined) {
      record = new NodeRecord(knownSinceMs);
      this.#records.set(version, record);
    }
    return record;
  }

  /**
   * Asks how busy a version is, over the stream that stands; resolves when that is known or will not be, and never rejects.
   * Without a stream one is dialled, for the next time.
   */
  async probe(version: VersionCid): Promise<void> {
    if (this.#open !== undefined) return this.#open.measure(version);
    this.#connected().catch(() => {
      // Not wanted yet: whoever sends something there hears of it.
    });
  }

  /** Asks as {@link probe} does, and dials for it where there is no stream; never rejects. */
  async survey(version: VersionCid): Promise<void> {
    try {
      await (await this.#connected()).measure(version);
    } catch {
      // Who cannot be reached is known by that alone: nothing was measured.
    }
  }

  /**
   * Sends one request over the node's stream, dialling when there is none.
   *
   * @throws the node's typed refusal or failure, or {ERR_CONNECTION} when it cannot be reached.
   */
  async infer(request: InferenceRequest, init: SendInit): Promise<InferenceResponse> {
    const { signal, bodyBytes } = init;
    const receipt = request.receiptNonce !== undefined;
    const record = this.recordOf(request.version);
    const sentAtMs = Date.now();
    record.reserve(sentAtMs);
    this.#sentAtMs = performance.now();
    try {
      const connection = this.#open ?? (await abandonable(this.#connected(), signal));
      // After the dial, which is paid once: what follows tells of the path.
      const startedAt = performance.now();
      const { onOutput, onTransfer } = init;
      const response = await connection.infer(request, { signal, onOutput, onTransfer });
      this.#learn(response, bodyBytes, performance.now() - startedAt);
      await init.check?.(response);
      // This request is over on both sides, so that neither the report nor the reservations count it.
      record.report(response.load, Date.now(), Math.max(0, record.open - 1));
      record.answered(elementsOf(request.inputs), response.executeMs);
      return response;
    } catch (error) {
      if (!signal.aborted) this.#failed(error, record, { sentAtMs, bodyBytes, receipt });
      throw error;
    } finally {
      record.release();
    }
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    await connection?.close();
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
    this.#roundTrip.add(roundTripMs, Date.now());
  }

  #failed(
    error: unknown,
    record: NodeRecord,
    { sentAtMs, bodyBytes, receipt }: FailedRequest,
  ): void {
    const nowMs = Date.now();
    const code = isSwarmError(error) ? error.code : 'ERR_CONNECTION';
    switch (code) {
      case 'ERR_BUSY':
      case 'ERR_LOADING': {
        const load = isSwarmError(error) ? error.details['load'] : undefined;
        if (isLoadReport(load)) record.report(load, nowMs, Math.max(0, record.open - 1));
        return;
      }
      case 'ERR_CONNECTION':
      case 'ERR_INVALID_MESSAGE':
        // The node as a whole, with all its versions.
        for (const any of this.#records.values()) any.broke(nowMs, sentAtMs);
        if (code === 'ERR_CONNECTION')
          void this.#peer.liveness.suspect(this.node, { pauseMs: SUSPECT_PAUSE_MS });
        return;
      case 'ERR_INTERNAL':
        return record.broke(nowMs, sentAtMs);
      case 'ERR_EXECUTION':
      case 'ERR_STORE':
      case 'ERR_CORRUPT':
        return record.failed(nowMs);
      case 'ERR_FORBIDDEN':
        for (const any of this.#records.values()) any.forbade(nowMs, receipt);
        return;
      case 'ERR_LIMIT':
        return isRemote(error) ? record.refused(bodyBytes) : undefined;
      default:
        return undefined;
    }
  }

  #connected(): Promise<InferenceConnection> {
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
    return this.#connection;
  }

  #forget(connection: Promise<InferenceConnection>): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#open = undefined;
  }

  async #dial(): Promise<InferenceConnection> {
    const signal = AbortSignal.timeout(DIAL_TIMEOUT_MS);
    this.#dialledAtMs = performance.now();
    try {
      const stream = await this.#peer.openStream(this.node, 'inference', INFERENCE_VERSION, signal);
      return new InferenceConnection(stream, {
        onRoundTrip: (ms) => this.#measured(ms),
        onLoad: (version, load) => this.#records.get(version)?.report(load, Date.now()),
        onSilent: () => this.#peer.disconnect(this.node, 'fell silent'),
      });
    } catch (cause) {
      if (signal.aborted) this.#peer.disconnect(this.node, 'opened no stream');
      throw new ConnectionError(`node ${this.node} could not be dialled`, {
        cause,
        details: { node: this.node, phase: 'dial' },
      });
    } finally {
      this.#dialledAtMs = Number.POSITIVE_INFINITY;
    }
  }
}

function smooth(old: number | null, sample: number): number {
  return old === null ? sample : old + SMOOTHING * (sample - old);
}

function isLoadReport(value: unknown): value is LoadReport {
  return typeof value === 'object' && value !== null && 'queued' in value && 'slots' in value;
}

function isRemote(error: unknown): boolean {
  return isSwarmError(error) && error.details['remote'] === true;
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
