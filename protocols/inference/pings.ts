import { ByteReader } from '../codec/byte-reader.ts';
import { ByteWriter } from '../codec/byte-writer.ts';
import type { LoadReport, VersionCid } from '../types.ts';
import { MAX_CID_BYTES, readLoad, writeLoad } from './message.ts';

/** Pings of one stream that have no pong yet: more say nothing that the first of them will not. */
const MAX_OPEN_PINGS = 16;

const NO_BYTES = new Uint8Array();

/** What a ping carries: the version whose load is asked for; nothing when it is only for a sign of life. */
export function encodePing(version: VersionCid | undefined): Uint8Array {
  if (version === undefined) return NO_BYTES;
  const writer = new ByteWriter();
  writer.text(version);
  return writer.bytes;
}

/** @throws {ERR_INVALID_MESSAGE} when it is malformed. */
export function decodePing(payload: Uint8Array): VersionCid | undefined {
  if (payload.byteLength === 0) return undefined;
  return new ByteReader(payload, 'ping').text('version', MAX_CID_BYTES) as VersionCid;
}

/** What a pong carries: the load that its ping asked for, or nothing. */
export function encodePong(load: LoadReport | undefined): Uint8Array {
  if (load === undefined) return NO_BYTES;
  const writer = new ByteWriter();
  writeLoad(writer, load);
  return writer.bytes;
}

/** @throws {ERR_INVALID_MESSAGE} when it is malformed. */
export function decodePong(payload: Uint8Array): LoadReport | undefined {
  return payload.byteLength === 0 ? undefined : readLoad(new ByteReader(payload, 'pong'));
}

interface OpenPing {
  readonly version: VersionCid | undefined;
  readonly sentAtMs: number;
  readonly answered: Promise<void>;
  readonly settle: () => void;
}

export interface PingsInit {
  readonly send: (payload: Uint8Array) => void;
  /** Hears how many milliseconds each pong took. */
  readonly onRoundTrip?: ((ms: number) => void) | undefined;
  /** Hears the loads that pongs carry. */
  readonly onLoad?: ((version: VersionCid, load: LoadReport) => void) | undefined;
}

/** The pings on one stream that wait for their pong: pongs come in the order of the pings. */
export class Pings {
  readonly #init: PingsInit;
  readonly #open: OpenPing[] = [];
  #ended = false;

  constructor(init: PingsInit) {
    this.#init = init;
  }

  /** On the clock of `performance`: when the oldest ping was sent that has no pong yet; undefined when none is owed. */
  get owedSinceMs(): number | undefined {
    return this.#open[0]?.sentAtMs;
  }

  /** Asks for a sign of life. */
  ping(): void {
    if (!this.#ended && this.#open.length < MAX_OPEN_PINGS) this.#send(undefined);
  }

  /**
   * Asks for the round trip, and for a version's load when one is named. Resolves when the pong is there, or when none will
   * come; one that is under way already is joined.
   */
  async ask(version: VersionCid | undefined): Promise<void> {
    if (this.#ended) return;
    const same = this.#open.find((open) => version === undefined || open.version === version);
    if (same !== undefined) return same.answered;
    if (this.#open.length >= MAX_OPEN_PINGS) return;
    return this.#send(version).answered;
  }

  /** Takes in a pong. @throws {ERR_INVALID_MESSAGE} when it is malformed. */
  ponged(payload: Uint8Array): void {
    const ping = this.#open.shift();
    if (ping === undefined) return;
    const load = decodePong(payload);
    this.#init.onRoundTrip?.(performance.now() - ping.sentAtMs);
    if (ping.version !== undefined && load !== undefined) this.#init.onLoad?.(ping.version, load);
    ping.settle();
  }

  /** No pong will come any more. */
  end(): void {
    this.#ended = true;
    for (const { settle } of this.#open.splice(0)) settle();
  }

  #send(version: VersionCid | undefined): OpenPing {
    const { promise: answered, resolve: settle } = Promise.withResolvers<void>();
    const ping = { version, sentAtMs: performance.now(), answered, settle };
    this.#open.push(ping);
    this.#init.send(encodePing(version));
    return ping;
  }
}
