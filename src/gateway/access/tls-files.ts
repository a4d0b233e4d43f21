import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../../../protocols/errors.ts';

/** Milliseconds between two looks at the files. */
const LOOK_INTERVAL_MS = 5_000;

/** Where a certificate and its key are, in PEM. */
export interface TlsInit {
  /** The certificate, and after it those that lead to its root. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate with its chain, and its key, in PEM. */
export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * The certificate that the servers show: read again when its files change, for those who renew it. Files that do not fit each other,
 * as between two writes, change nothing; what is shown stays until they do.
 */
export class TlsFiles {
  readonly #init: TlsInit;
  readonly #onFailure: (error: unknown) => void;
  readonly #listeners: ((pair: TlsPair) => void)[] = [];
  readonly #ending = new AbortController();
  #pair: TlsPair;
  #looking: Promise<void> | undefined;
  /** Why the files are not what is shown; undefined when they are. */
  #failure: string | undefined;

  private constructor(init: TlsInit, pair: TlsPair, onFailure: (error: unknown) => void) {
    this.#init = init;
    this.#pair = pair;
    this.#onFailure = onFailure;
  }

  /**
   * Reads the files for the first time.
   *
   * @param onFailure told once of each reason for which changed files are not taken
   * @throws {ERR_CONFIG} when they cannot be read, or are no certificate and its key.
   */
  static async open(init: TlsInit, onFailure: (error: unknown) => void): Promise<TlsFiles> {
    return new TlsFiles(init, await readPair(init), onFailure);
  }

  get pair(): TlsPair {
    return this.#pair;
  }

  /** Tells each new pair from now on. */
  onChange(listener: (pair: TlsPair) => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#looking ??= this.#lookOnAndOn();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#looking;
  }

  /** Takes the files as they are now. */
  async look(): Promise<void> {
    try {
      const pair = await readPair(this.#init);
      this.#failure = undefined;
      if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return;
      this.#pair = pair;
      for (const listener of this.#listeners) listener(pair);
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#failure) this.#onFailure(error);
      this.#failure = message;
    }
  }

  async #lookOnAndOn(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      // Only the end of the gateway ends the pause early, and the loop sees that itself.
      await delay(LOOK_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (!signal.aborted) await this.look();
    }
  }
}

async function readPair({ certFile, keyFile }: TlsInit): Promise<TlsPair> {
  try {
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (cause) {
    throw new ConfigError(
      `${certFile} and ${keyFile} are expected to be a certificate and its key in PEM: ${(cause as Error).message}`,
      { cause },
    );
  }
}
