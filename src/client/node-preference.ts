import { InvalidInputError } from '../../protocols/errors.ts';
import { describeOptionsFault, type FieldsOf } from './known-fields.ts';

/** Names in one list of a preference. */
const MAX_NAMES = 32;

/** UTF-16 units of one name: peer ids have 52, zones are said by owners in a few words. */
const MAX_NAME_LENGTH = 128;

/**
 * Which nodes a call would rather be answered by. A wish and no condition: nodes that have none of it answer where no other
 * does in time. Within a list any one name will do; what has a name of more lists is preferred to what has one of fewer.
 */
export interface NodePreference {
  /** Zones in the words of the nodes' owners, such as a region or a building. @default any */
  readonly zones?: readonly string[] | undefined;
  /** Peer ids of owners. @default any */
  readonly owners?: readonly string[] | undefined;
  /** Peer ids of nodes. @default any */
  readonly nodes?: readonly string[] | undefined;
  /** ONNX Runtime's execution providers, such as `cuda` or `cpu`. @default any */
  readonly providers?: readonly string[] | undefined;
  /** Tags in the words of the nodes' owners (`swarm node --tag`). @default any */
  readonly tags?: readonly string[] | undefined;
}

const LISTS = [
  'zones',
  'owners',
  'nodes',
  'providers',
  'tags',
] as const satisfies readonly (keyof NodePreference)[];

const FIELDS: FieldsOf<NodePreference> = {
  ...{ zones: true, owners: true, nodes: true, providers: true, tags: true },
};

/** {@link NodePreference} with every list there; an empty one asks for nothing. */
export type ResolvedNodePreference = {
  readonly [List in (typeof LISTS)[number]]: readonly string[];
};

/** A preference for nothing. */
export const NO_PREFERENCE: ResolvedNodePreference = {
  zones: [],
  owners: [],
  nodes: [],
  providers: [],
  tags: [],
};

/**
 * Fills in what a preference leaves open.
 *
 * @throws {ERR_INVALID_INPUT} when a list is too long or holds what is no name.
 */
export function resolveNodePreference(prefer: NodePreference | undefined): ResolvedNodePreference {
  if (prefer === undefined) return NO_PREFERENCE;
  const fault = describeOptionsFault(prefer, FIELDS);
  if (fault !== undefined) throw new InvalidInputError(`infer option prefer: ${fault}`);
  for (const list of LISTS) checkNames(`prefer.${list}`, prefer[list] ?? []);
  const { zones = [], owners = [], nodes = [], providers = [], tags = [] } = prefer;
  return { zones, owners, nodes, providers, tags };
}

function checkNames(field: string, names: readonly string[]): void {
  if (!Array.isArray(names) || names.length > MAX_NAMES) {
    const found = Array.isArray(names) ? `${names.length}` : typeof names;
    throw new InvalidInputError(`${field}: expected at most ${MAX_NAMES} names, found ${found}`);
  }
  for (const [index, name] of names.entries()) {
    if (typeof name === 'string' && name !== '' && name.length <= MAX_NAME_LENGTH) continue;
    const found = typeof name === 'string' ? `${name.length} characters` : typeof name;
    throw new InvalidInputError(
      `${field}[${index}]: expected a name of 1 to ${MAX_NAME_LENGTH} characters, found ${found}`,
    );
  }
}
