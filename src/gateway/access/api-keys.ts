import { stat } from 'node:fs/promises';
import { TokenBucket } from '../../../protocols/token-bucket.ts';
import { GatewayRefusal } from '../refusal.ts';
import { API_KEY_PREFIX, type ApiKeyEntry, hashApiKey, readApiKeys } from './api-key-file.ts';

/** Milliseconds for which the file is believed unchanged: how long a revoked key still opens. */
const RELOAD_MS = 1_000;

/** Who a request is from, and what it may do. */
export interface Caller {
  /** Name of its key; undefined where none is needed. */
  readonly name: string | undefined;
  /** From 0 to 255. */
  readonly highestPriority: number;
  readonly defaultPriority: number;
  /** True when it may say which models the gateway serves. */
  readonly admin: boolean;
  /** True when its key is for this model, by `publisher/name`. */
  mayUse(model: string): boolean;
}

/** Anybody, where there are no keys. */
export const ANYBODY: Caller = {
  name: undefined,
  highestPriority: 255,
  defaultPriority: 0,
  admin: false,
  mayUse: () => true,
};

/** @throws {GatewayRefusal} when the caller's key is not for this model, by `publisher/name`. */
export function checkMayUse(caller: Caller, model: string): void {
  if (caller.mayUse(model)) return;
  throw new GatewayRefusal('forbidden', `the API key is not for model '${model}'`);
}

/** @throws {GatewayRefusal} when the caller may not say which models the gateway serves. */
export function checkAdmin({ admin }: Caller): void {
  if (admin) return;
  throw new GatewayRefusal(
    'forbidden',
    'to load and unload models an API key is needed that was made with `swarm keys api --admin`',
  );
}

interface KnownKey {
  readonly caller: Caller;
  readonly requestsPerSecond: number | undefined;
  readonly rate: TokenBucket | undefined;
}

/** Tells callers apart by their keys, which it reads again when their file has changed. */
export class ApiKeys {
  readonly #file: string | undefined;
  #byHash = new Map<string, KnownKey>();
  /** True once there was a key: that the last one is revoked opens no door. */
  #required = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #stamp = '';
  #reading: Promise<void> | undefined;

  /** `file` is where `swarm keys api` keeps them; undefined for a gateway that needs none. */
  constructor(file: string | undefined) {
    this.#file = file;
  }

  /** @throws {ERR_STORE} when the file is damaged. */
  async required(): Promise<boolean> {
    await this.#refresh();
    return this.#required;
  }

  /**
   * The caller that an `Authorization` header stands for; one request of its rate is used up.
   *
   * @throws {GatewayRefusal} when a key is needed and it has none that is known, or its rate is used up.
   */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    await this.#refresh();
    if (!this.#required) return ANYBODY;
    const [, text] = /^Bearer +(\S{1,200})$/i.exec(authorization ?? '') ?? [];
    const known = text === undefined ? undefined : this.#byHash.get(hashApiKey(text));
    if (known === undefined) {
      throw new GatewayRefusal(
        'unauthenticated',
        `${text === undefined ? 'no API key was given' : 'the API key is unknown'}, expected the header Authorization: Bearer ${API_KEY_PREFIX}…`,
        { headers: { 'www-authenticate': 'Bearer' } },
      );
    }
    takeOne(known.rate);
    return known.caller;
  }

  async #refresh(): Promise<void> {
    if (this.#file === undefined || performance.now() - this.#lookedAtMs < RELOAD_MS) return;
    this.#reading ??= this.#read(this.#file).finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #read(file: string): Promise<void> {
    const stamp = await stampOf(file);
    if (stamp !== this.#stamp) {
      const entries = Object.entries(await readApiKeys(file));
      const known = this.#byHash;
      this.#byHash = new Map(
        entries.map(([name, entry]) => [entry.sha256, keep(name, entry, known.get(entry.sha256))]),
      );
      this.#required ||= entries.length > 0;
      this.#stamp = stamp;
    }
    this.#lookedAtMs = performance.now();
  }
}

function takeOne(rate: TokenBucket | undefined): void {
  const nowMs = performance.now();
  if (rate === undefined || rate.takeWhole(1, nowMs)) return;
  const retryAfterMs = rate.wholeInMs(1, nowMs);
  throw new GatewayRefusal('exhausted', `the API key's rate is used up for ${retryAfterMs} ms`, {
    retryAfterMs,
  });
}

/** A key that stays keeps its rate: reading the file again gives nobody new requests. */
function rateOf(
  requestsPerSecond: number | undefined,
  known: KnownKey | undefined,
): TokenBucket | undefined {
  if (requestsPerSecond === known?.requestsPerSecond) return known?.rate;
  if (requestsPerSecond === undefined) return undefined;
  // Below one a second there must be room for one.
  return new TokenBucket(requestsPerSecond, Math.max(1, requestsPerSecond));
}

function keep(name: string, entry: ApiKeyEntry, known: KnownKey | undefined): KnownKey {
  const { requestsPerSecond, models, priority, admin = false } = entry;
  return {
    caller: {
      name,
      highestPriority: priority ?? 255,
      defaultPriority: priority ?? 0,
      admin,
      mayUse: (model) => models === undefined || models.includes(model),
    },
    requestsPerSecond,
    rate: rateOf(requestsPerSecond, known),
  };
}

/** Changes with every rename over the file. */
async function stampOf(file: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(file);
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
