import { ConnectionError } from '../../protocols/errors.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { describeOtherNetworks } from '../swarm/other-networks.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import type { NodeView, ReplicaView } from '../swarm/view.ts';

/** How long one look-up of a release record may take; a list without a channel's name is still a list. */
const RELEASE_TIMEOUT_MS = 3_000;

/** Release records that are looked up at once. */
const RELEASE_LOOKUPS = 8;

/** Models whose release records are looked up for one list: each may ask the DHT. */
export const MAX_RELEASE_LOOKUPS = 256;

/** What the peers around know of the swarm now. */
export interface SwarmSurvey {
  /** By peer id. */
  readonly nodes: readonly NodeView[];
  readonly replicas: readonly ReplicaView[];
}

/** A version that some node holds, with the channels that point at it. */
export interface HeldVersion {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** Channels of the release record that point at the version; undefined when no record was found. */
  readonly channels: readonly string[] | undefined;
  readonly replicas: readonly ReplicaView[];
}

/**
 * Asks the connected peers for the nodes they know.
 *
 * @throws {ERR_CONNECTION} when none of them answered.
 */
export async function surveySwarm(peer: SwarmPeer, signal: AbortSignal): Promise<SwarmSurvey> {
  const answers = await peer.survey({ kind: 'nodes' }, { signal });
  const fault = describeOtherNetworks(answers, peer.network);
  if (fault !== undefined) throw new ConnectionError(fault);
  const [first] = answers;
  if (first?.status === 'rejected' && answers.every(({ status }) => status === 'rejected')) {
    throw new ConnectionError(
      `none of the ${answers.length} peers asked told which nodes there are: ${String(first.reason)}`,
      { cause: first.reason },
    );
  }
  const now = Date.now();
  const nodes = peer.view
    .nodes(now)
    .toSorted((a, b) => compare(a.announcement.node, b.announcement.node));
  return { nodes, replicas: peer.view.replicas(now) };
}

/** Groups replicas by version, with their channels where the release record can be found; sorted by publisher and name. */
export async function findHeldVersions(
  peer: SwarmPeer,
  { replicas }: SwarmSurvey,
  signal: AbortSignal,
): Promise<HeldVersion[]> {
  const versions = groupByVersion(replicas);
  const models = new Map(versions.map((version) => [modelOf(version), version]));
  const records = await findReleases(peer, [...models.values()], signal);
  return versions
    .map((version) => ({
      ...version,
      channels: channelsOf(records.get(modelOf(version)), version.cid),
    }))
    .toSorted((a, b) => compare(modelOf(a), modelOf(b)) || compare(a.cid, b.cid));
}

/** The channels of a record that point at a version; undefined without a record. */
export function channelsOf(
  record: ReleaseRecord | undefined,
  cid: VersionCid,
): readonly string[] | undefined {
  if (record === undefined) return undefined;
  return Object.entries(record.channels)
    .filter(([, target]) => target.cid === cid)
    .map(([channel]) => channel)
    .toSorted(compare);
}

type Version = Omit<HeldVersion, 'channels'>;

function groupByVersion(replicas: readonly ReplicaView[]): Version[] {
  const groups = new Map<string, Version & { readonly replicas: ReplicaView[] }>();
  for (const replica of replicas) {
    const { publisher, name, cid } = replica.version;
    const key = `${publisher}/${name}@${cid}`;
    const group = groups.get(key) ?? { publisher, name, cid, replicas: [] };
    group.replicas.push(replica);
    groups.set(key, group);
  }
  return [...groups.values()];
}

async function findReleases(
  peer: SwarmPeer,
  models: readonly Version[],
  signal: AbortSignal,
): Promise<Map<string, ReleaseRecord>> {
  const records = new Map<string, ReleaseRecord>();
  const queue = models.slice(0, MAX_RELEASE_LOOKUPS);
  const worker = async (): Promise<void> => {
    for (let model = queue.shift(); model !== undefined; model = queue.shift()) {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(RELEASE_TIMEOUT_MS)]);
      try {
        const { record } = await peer.releases.find(model.publisher, model.name, {
          signal: bounded,
        });
        records.set(modelOf(model), record);
      } catch {
        // A version without a record that can be found now is listed without a channel.
        signal.throwIfAborted();
      }
    }
  };
  await Promise.all(Array.from({ length: RELEASE_LOOKUPS }, worker));
  return records;
}

function modelOf({ publisher, name }: Pick<Version, 'publisher' | 'name'>): string {
  return `${publisher}/${name}`;
}

/** By code unit: the order of a list must not depend on the machine's language. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
