import type { PrivateKey } from '@libp2p/interface';
import type { generateCertificate } from '@libp2p/tls/utils';

export type TlsCertificate = Awaited<ReturnType<typeof generateCertificate>>;

/**
 * Milliseconds one certificate is used. It would be valid for a hundred years, but from an hour before it was made: made
 * while the clock was ahead, peers would refuse it until it is made anew.
 */
const MAX_AGE_MS = 10 * 60_000;

/** What a certificate is made by, and the age it is measured with. */
export interface TlsCertificatesInit {
  readonly privateKey: PrivateKey;
  readonly generate: (privateKey: PrivateKey) => Promise<TlsCertificate>;
  /** Milliseconds that never go back. @default performance.now */
  readonly nowMs?: (() => number) | undefined;
}

/**
 * One certificate for all connections of some minutes: its extension signs its own key, not a connection, and TLS 1.3 makes
 * the keys of each connection anew. Making one takes 10 ms.
 */
export class TlsCertificates {
  readonly #init: TlsCertificatesInit;
  readonly #nowMs: () => number;
  #made: { readonly certificate: Promise<TlsCertificate>; readonly atMs: number } | undefined;

  constructor(init: TlsCertificatesInit) {
    this.#init = init;
    this.#nowMs = init.nowMs ?? (() => performance.now());
  }

  /** The certificate to show now. Rejects when none can be made; the next call tries again. */
  async current(): Promise<TlsCertificate> {
    const nowMs = this.#nowMs();
    if (this.#made !== undefined && nowMs - this.#made.atMs < MAX_AGE_MS) {
      return this.#made.certificate;
    }
    const made = { certificate: this.#init.generate(this.#init.privateKey), atMs: nowMs };
    this.#made = made;
    try {
      return await made.certificate;
    } catch (error) {
      if (this.#made === made) this.#made = undefined;
      throw error;
    }
  }
}
