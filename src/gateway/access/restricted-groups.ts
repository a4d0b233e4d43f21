import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ConfigError } from '../../../protocols/errors.ts';
import { GatewayRefusal } from '../refusal.ts';

/** The groups into which Triton sorts what a server answers. */
const API_GROUPS = [
  'health',
  'metadata',
  'inference',
  'shared-memory',
  'model-config',
  'model-repository',
  'statistics',
  'trace',
  'logging',
] as const;

export type ApiGroup = (typeof API_GROUPS)[number];

/** `groups:header=value`; a value may hold anything but the end of the line. */
const LINE = /^(?<groups>[a-z,-]+):(?<header>[A-Za-z0-9-]{1,64})=(?<value>.+)$/;

/** What a header is called in the metadata of gRPC. */
const GRPC_PREFIX = 'triton-grpc-protocol-';

interface Restriction {
  /** In lower case. */
  readonly header: string;
  readonly digest: Buffer;
}

/**
 * Groups of the API that are only for who sends a certain header, beside and before API keys.
 *
 * @see https://github.com/triton-inference-server/server, docs/customization_guide/inference_protocols.md, "Limit Endpoint Access"
 */
export class RestrictedGroups {
  readonly #restrictions: ReadonlyMap<ApiGroup, Restriction>;

  constructor(restrictions: ReadonlyMap<ApiGroup, Restriction> = new Map()) {
    this.#restrictions = restrictions;
  }

  /** @throws {GatewayRefusal} when the group is restricted and the HTTP header is not what it must be. */
  checkHttp(group: ApiGroup, valueOf: (header: string) => string | undefined): void {
    const restriction = this.#restrictions.get(group);
    if (restriction === undefined || isIt(restriction, valueOf(restriction.header))) return;
    throw new GatewayRefusal(
      'forbidden',
      `This API is restricted, expecting header '${restriction.header}'`,
    );
  }

  /** As {@link checkHttp}, of gRPC's metadata. */
  checkGrpc(group: ApiGroup, valueOf: (key: string) => string | undefined): void {
    const restriction = this.#restrictions.get(group);
    if (restriction === undefined) return;
    const key = `${GRPC_PREFIX}${restriction.header}`;
    if (isIt(restriction, valueOf(key))) return;
    throw new GatewayRefusal('forbidden', `This protocol is restricted, expecting header '${key}'`);
  }
}

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EISDIR: 'is a folder',
  EACCES: 'may not be read by this user',
};

/**
 * Reads restrictions, one a line as Triton's options write them: `model-repository,statistics:admin-key=secret`. What begins with `#` and
 * empty lines say nothing.
 *
 * @throws {ERR_CONFIG} naming the file and the line.
 */
export async function readRestrictions(file: string): Promise<RestrictedGroups> {
  const text = await readText(file);
  const restrictions = new Map<ApiGroup, Restriction>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const where = `${file}, line ${index + 1}`;
    const { groups, header, value } = LINE.exec(line)?.groups ?? {};
    if (groups === undefined || header === undefined || value === undefined) {
      // The line may hold a secret, so it is not shown.
      throw new ConfigError(`${where}: expected groups:header=value, found another form`);
    }
    for (const group of groups.split(',')) {
      if (!isGroup(group)) {
        throw new ConfigError(`${where}: expected groups of ${API_GROUPS.join(', ')}`);
      }
      if (restrictions.has(group)) {
        throw new ConfigError(`${where}: group '${group}' is restricted twice`);
      }
      restrictions.set(group, { header: header.toLowerCase(), digest: digestOf(value) });
    }
  }
  return new RestrictedGroups(restrictions);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const fault = FAULTS[code] ?? `cannot be read (${code})`;
    throw new ConfigError(
      `--restrict-file ${file} ${fault}, expected a file of lines groups:header=value`,
      { cause },
    );
  }
}

function isGroup(text: string): text is ApiGroup {
  return (API_GROUPS as readonly string[]).includes(text);
}

/** Compared as digests, which have one length and tell nothing by the time that takes. */
function isIt({ digest }: Restriction, value: string | undefined): boolean {
  return value !== undefined && timingSafeEqual(digestOf(value), digest);
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
