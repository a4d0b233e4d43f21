import { ConfigError } from '../../protocols/errors.ts';

/** Where a server that is none of libp2p's listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

const ADDRESS = /^(?:(?<v6>\[[0-9a-fA-F:.]+\])|(?<host>[A-Za-z0-9.-]*)):(?<port>\d{1,5})$/;

/**
 * Parses `:8000`, `127.0.0.1:8000`, `0.0.0.0:8000` or `[::1]:8000`. Without a host it is the loopback: to be reached from elsewhere
 * has to be said. `off` is undefined.
 *
 * @throws {ERR_CONFIG} naming `where` it was written.
 */
export function parseListenAddress(text: string, where: string): ListenAddress | undefined {
  if (text === 'off') return undefined;
  const { v6, host = '', port } = ADDRESS.exec(text)?.groups ?? {};
  if (port === undefined || Number(port) > 65_535) {
    throw new ConfigError(
      `${where} is ${JSON.stringify(text.slice(0, 80))}, expected an address such as :8000, 0.0.0.0:8000 or [::1]:8000, or off`,
    );
  }
  return { host: v6?.slice(1, -1) ?? (host === '' ? '127.0.0.1' : host), port: Number(port) };
}

/** True for an address that only this machine reaches. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** `127.0.0.1:8000` or `[::1]:8000`. */
export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
