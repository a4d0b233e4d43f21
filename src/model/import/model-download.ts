import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import {
  ConnectionError,
  CorruptError,
  DeadlineError,
  ForbiddenError,
  InvalidInputError,
  isSwarmError,
  LimitError,
  NotFoundError,
  StoreError,
} from '../../../protocols/errors.ts';
import type { AbortOptions } from '../../../protocols/types.ts';

/** Bytes of a download: protobuf ends there, so no .onnx file is larger. */
export const MAX_DOWNLOAD_BYTES = 2 * 1024 * 1024 * 1024;

/** Milliseconds without a byte after which a download is given up. */
export const DOWNLOAD_IDLE_MS = 30_000;

/** Times that a server may send elsewhere. */
const MAX_REDIRECTS = 5;

const HEX_DIGEST = /^[0-9a-f]{64}$/i;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** An address and the digest that what it gives must have. */
export interface ModelAddress {
  readonly url: URL;
  /** 64 hexadecimal digits, lower case. */
  readonly sha256: string;
  /** The plain name that the file gets. */
  readonly fileName: string;
}

export interface DownloadOptions extends AbortOptions {
  /** @default 2 GiB */
  readonly maxBytes?: number | undefined;
  /** Milliseconds without a byte, the first included. @default 30000 */
  readonly idleTimeoutMs?: number | undefined;
}

/**
 * Reads `https://…/model.onnx#sha256=<hex>`, or an address with the digest beside it.
 *
 * Without a digest nothing is fetched: an address may give other bytes tomorrow. Over plain http only from this machine, for
 * the digest keeps what comes honest, not what is asked for private.
 *
 * @throws {ERR_INVALID_INPUT} that says what is expected.
 */
export function parseModelAddress(text: string, sha256?: string): ModelAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new InvalidInputError('address is no URL, expected https://…#sha256=<hex>', { cause });
  }
  checkAddress(url);
  const fragment = /^#sha256=(.*)$/.exec(url.hash)?.[1];
  if (url.hash !== '' && fragment === undefined) {
    throw new InvalidInputError(
      `fragment of the address is ${JSON.stringify(url.hash.slice(0, 80))}, expected #sha256=<hex>`,
    );
  }
  const digest = (fragment ?? sha256)?.toLowerCase();
  if (digest === undefined || !HEX_DIGEST.test(digest)) {
    throw new InvalidInputError(
      `${shownAddress(url)} comes without the sha256 of the file, expected 64 hexadecimal digits after #sha256= or in --sha256`,
    );
  }
  if (sha256 !== undefined && sha256.toLowerCase() !== digest) {
    throw new InvalidInputError('the address and --sha256 have different digests, expected one');
  }
  url.hash = '';
  return { url, sha256: digest, fileName: fileNameOf(url) };
}

/**
 * Fetches a file and checks its digest; what fails is left for the caller to remove.
 *
 * @throws {ERR_CORRUPT} when the digest is another. {ERR_LIMIT} when more comes than `maxBytes`.
 * @throws {ERR_NOT_FOUND | ERR_FORBIDDEN | ERR_CONNECTION} as the server answers. {ERR_DEADLINE} when it stays silent.
 */
export async function downloadModel(
  address: ModelAddress,
  file: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { maxBytes = MAX_DOWNLOAD_BYTES, idleTimeoutMs = DOWNLOAD_IDLE_MS, signal } = options;
  const shown = shownAddress(address.url);
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), idleTimeoutMs);
  const both = signal === undefined ? idle.signal : AbortSignal.any([signal, idle.signal]);
  try {
    const response = await request(address.url, both);
    const declared = Number(response.headers.get('content-length') ?? 0);
    if (declared > maxBytes) throw tooLarge(shown, maxBytes);
    const digest = await writeBody(response, file, {
      onBytes: (total) => {
        timer.refresh();
        if (total > maxBytes) throw tooLarge(shown, maxBytes);
      },
    });
    if (digest === address.sha256) return;
    throw new CorruptError(`${shown} hashes to ${digest}, expected ${address.sha256}`);
  } catch (cause) {
    signal?.throwIfAborted();
    if (idle.signal.aborted) {
      throw new DeadlineError(`${shown} sent nothing for ${idleTimeoutMs} ms`, 'fetch', { cause });
    }
    if (isSwarmError(cause)) throw cause;
    throw new ConnectionError(`${shown} could not be fetched: ${reasonOf(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
    idle.abort();
  }
}

async function request(start: URL, signal: AbortSignal): Promise<Response> {
  let url = start;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const response = await fetch(url, {
      redirect: 'manual',
      signal,
      // The digest is of the file, which a content coding would wrap.
      headers: { 'accept-encoding': 'identity' },
    });
    const next = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || next === null) {
      if (response.status === 200) return response;
      throw refusal(url, response.status);
    }
    await response.body?.cancel();
    url = new URL(next, url);
    checkAddress(url);
  }
  throw new ConnectionError(`${shownAddress(start)} redirects more than ${MAX_REDIRECTS} times`);
}

async function writeBody(
  response: Response,
  file: string,
  { onBytes }: { readonly onBytes: (total: number) => void },
): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(file, 'wx');
  let total = 0;
  try {
    for await (const part of response.body ?? []) {
      total += part.byteLength;
      onBytes(total);
      hash.update(part);
      await handle.writeFile(part).catch((cause: unknown) => {
        throw new StoreError(`'${file}' cannot be written: ${reasonOf(cause)}`, { cause });
      });
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

function checkAddress(url: URL): void {
  const plain = url.protocol === 'http:' && LOOPBACK.test(url.hostname);
  if (url.protocol !== 'https:' && !plain) {
    throw new InvalidInputError(
      `address ${shownAddress(url)} is not https, which all but this machine's own must be`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidInputError('address holds a user name or password, expected none');
  }
}

function refusal(url: URL, status: number): Error {
  const message = `${shownAddress(url)} answered with status ${status}, expected 200`;
  if (status === 404 || status === 410) return new NotFoundError(message);
  if (status === 401 || status === 403) return new ForbiddenError(message);
  return new ConnectionError(message);
}

function tooLarge(shown: string, maxBytes: number): LimitError {
  return new LimitError(`${shown} has more than ${maxBytes} bytes, expected at most that many`);
}

/** Without query and fragment, which may hold a secret. */
function shownAddress(url: URL): string {
  return `${url.origin}${url.pathname}`.slice(0, 240);
}

function fileNameOf(url: URL): string {
  const name = url.pathname.split('/').at(-1) ?? '';
  return /^[\w.-]{1,120}\.onnx$/i.test(name) && !name.startsWith('.') ? name : 'model.onnx';
}

function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  if (inner instanceof Error) return 'code' in inner ? String(inner.code) : inner.message;
  return String(inner);
}
