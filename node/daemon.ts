import path from 'node:path';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { signOwnerCertificate } from '../protocols/capacity/index.ts';
import type { NodeId, OwnerId } from '../protocols/types.ts';
import { ensureFolder } from '../src/model/ensured-folder.ts';
import { loadOrCreateKey } from '../src/swarm/identity.ts';
import { parseServingHours } from '../src/policy/serving-hours.ts';
import type { ListenAddress } from '../src/swarm/listen-address.ts';
import { SwarmPeer } from '../src/swarm/peer.ts';
import { RecordStore } from '../src/swarm/record-store.ts';
import { Announcer } from './announcer.ts';
import { drainVerbs } from './control/drain-verbs.ts';
import { nodeVerbs } from './control/node-verbs.ts';
import { orderVerbs } from './control/order-verbs.ts';
import { openControl } from './control/open-control.ts';
import { storeVerbs } from './control/store-verbs.ts';
import { CoreTurns } from './backend/core-turns.ts';
import type { Isolation } from './backend/isolation.ts';
import { DeviceProber } from './device/device-prober.ts';
import { createInference } from './create-inference.ts';
import { type NodeInit, type ResolvedNodeInit, resolveNodeInit } from './node-init.ts';
import { onnxBackendOf } from './node-backend.ts';
import { watchCoHolders } from './co-holders.ts';
import { Handover, type HandoverProgress } from './handover.ts';
import { openMetrics } from './metrics/open-metrics.ts';
import { isolateModels } from './node-isolation.ts';
import { NodePause } from './node-pause.ts';
import { NodePolicy } from './node-policy.ts';
import { termsOf } from './node-terms.ts';
import { OperatorOrders } from './operator-orders.ts';
import { obey } from './order-effects.ts';
import { createScaler } from './scaler/create-scaler.ts';
import type { PlannedVersion } from './scaler/scaler.ts';
import type { NodeParts } from './node-parts.ts';
import { limiterOf, serveProtocols } from './node-protocols.ts';
import { rest } from './node-rest.ts';
import { OwnerWatch } from './owner-watch.ts';
import { ReleaseKeeper } from './release-keeper.ts';
import { ReplicaFetcher } from './replica/replica-fetch.ts';
import { ReplicaSet } from './replica/replica-set.ts';
import { PackingLoop } from './store/packing-loop.ts';
import { VersionStore } from './store/version-store.ts';
import { VersionExperience } from './replica/version-experience.ts';
import { createVersionKnowledge } from './replica/version-knowledge.ts';
import { createVersionRepair } from './replica/version-repair.ts';
import { isSuperseded, VersionRetirement } from './replica/version-retirement.ts';

const AGENT = 'gpu-swarm/0.1.0';

/** How long `stop` waits for what is under way. */
const DRAIN_TIMEOUT_MS = 10_000;

/** A GPU host in the swarm: stores, runs and announces model versions. */
export class SwarmNode implements AsyncDisposable {
  readonly #parts: NodeParts;
  #stopped: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  get id(): NodeId {
    return this.#parts.peer.id;
  }

  /** Multiaddrs others can dial, with `/p2p/<id>`. */
  get addresses(): string[] {
    return this.#parts.peer.addresses;
  }

  /** Ids of the peers it is connected to. */
  get peers(): string[] {
    return this.#parts.peer.libp2p.getPeers().map(String);
  }

  get replicas(): ReplicaSet {
    return this.#parts.replicas;
  }

  /** How the versions stand that this node knows of; empty where it holds only what publishers place. */
  get plan(): readonly PlannedVersion[] {
    return this.#parts.scaler?.plan ?? [];
  }

  /** Where Prometheus reads its metrics; undefined where nobody wants them. */
  get metricsAddress(): ListenAddress | undefined {
    return this.#parts.metrics?.address;
  }

  /** How models' processes are shut in. */
  get isolation(): Isolation {
    return this.#parts.isolation;
  }

  /** Resolves when the owner has drained the node from another terminal: {@link stop} comes next. */
  get drained(): Promise<void> {
    return this.#parts.drained;
  }

  /**
   * Has others take over what this node serves, which it goes on serving meanwhile; yields how far that is. Ends when nothing is
   * owed, or after the time that is set for it, and goes on when whoever asked leaves. {@link stop} comes next: there is no way back.
   */
  handOver(): AsyncGenerator<HandoverProgress> {
    return this.#parts.handover.watch();
  }

  /** {@link handOver} to its end, for whoever does not want to know how far it is: the log says that. */
  async handedOver(): Promise<void> {
    await this.#parts.handover.run();
  }

  /** Tells the swarm that this node takes nothing new, and refuses what comes all the same. */
  async drain(): Promise<void> {
    this.#parts.inference.drain();
    await this.#parts.announcer.drain();
  }

  /** Drains, ends what runs, then closes from the outside in. Twice is once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    const { announcer, releases, replicas, devices, backend, peer, packing, store, records } =
      this.#parts;
    this.#parts.watch.stop();
    await this.#parts.handover.stop();
    const scaler = Promise.resolve(this.#parts.scaler?.stop());
    // Awaited below; until then a rejection must not count as unhandled.
    scaler.catch(() => undefined);
    await this.#parts.retirement.stop();
    await this.#parts.control?.stop();
    await this.drain();
    await announcer.stop();
    await Promise.race([
      Promise.all([scaler, replicas.stop()]),
      new Promise((resolve) => setTimeout(resolve, DRAIN_TIMEOUT_MS).unref()),
    ]);
    await releases.stop();
    await packing.stop();
    await devices.stop();
    await backend.stop();
    await this.#parts.metrics?.close();
    await this.#parts.spans?.stop();
    await peer.stop();
    await store.close();
    await this.#parts.experience.batches.written;
    await records.close();
  }
}

/**
 * Starts a node: identity, stores, backend, peer, protocols, the versions it held before, announcements.
 *
 * @throws {ERR_CONFIG} when a setting is wrong or an address cannot be listened on.
 * @throws {ERR_STORE} when the data folder is locked or damaged. What was opened until then is closed again.
 */
export async function createNode(nodeInit: NodeInit): Promise<SwarmNode> {
  const init = resolveNodeInit(nodeInit);
  const opened: (() => Promise<void>)[] = [];
  try {
    const parts = await assemble(init, opened);
    await serveProtocols(parts);
    rest({ ...parts, logger: init.logger }, parts.pause.reason);
    parts.watch.start();
    parts.announcer.start();
    watchCoHolders({ ...parts, logger: init.logger });
    parts.devices.start(() => parts.announcer.changed());
    await parts.releases.start();
    await parts.replicas.restore((cid) => isSuperseded(cid, parts));
    parts.retirement.start();
    parts.scaler?.start();
    parts.packing.start();
    return new SwarmNode(parts);
  } catch (error) {
    for (const close of opened.toReversed()) await close();
    throw error;
  }
}

/** Makes the parts in the order in which they need each other; `opened` takes what closes those that hold something. */
async function assemble(
  init: ResolvedNodeInit,
  opened: (() => Promise<void>)[],
): Promise<NodeParts> {
  const { dataDir, logger } = init;
  await ensureFolder(dataDir, 0o700);
  const privateKey = await loadOrCreateKey(path.join(dataDir, 'node.key'), {
    onWarning: (message) => logger.warn(message),
  });
  const knowledge = createVersionKnowledge(() => ({ peer, store, replicas }));
  const experience = await VersionExperience.open(dataDir, init);
  opened.push(() => experience.batches.written);
  const store: VersionStore = await VersionStore.open(path.join(dataDir, 'store'), {
    quotaBytes: init.storeQuotaBytes,
    knowledge,
    onEvicted: (removed) => {
      logger.info(removed, 'version evicted to make room for another');
      replicas.forget(removed.cid);
    },
    onRemoved: (cid) => experience.batches.forget(cid),
  });
  opened.push(() => store.close());
  const packing = new PackingLoop(store.packing, { idleMs: init.retireAfterMs, logger });
  opened.push(() => packing.stop());
  const records = await RecordStore.open(path.join(dataDir, 'records'), logger);
  opened.push(() => records.close());
  const isolation = await isolateModels(init);
  const devices = new DeviceProber({ cacheDir: dataDir, logger, isolation });
  opened.push(() => devices.stop());
  const backend =
    init.backend ??
    onnxBackendOf(init, {
      ...{ isolation, devices, store },
      ledger: () => replicas.ledger,
    });
  const peer: SwarmPeer = await SwarmPeer.start({
    network: init.network,
    privateKey,
    dhtMode: 'server',
    role: 'node',
    scaling: init.scaling,
    bootstrap: init.bootstrap,
    listen: init.listen,
    announce: init.announce,
    datastore: records.datastore,
    sequences: records.sequences,
    mdns: init.mdns,
    onWarning: (message) => logger.warn(message),
  });
  opened.push(() => peer.stop());
  const releases = new ReleaseKeeper({ peer, store, logger });
  opened.push(() => releases.stop());
  const fetcher = new ReplicaFetcher({
    peer,
    store,
    logger,
    limit: limiterOf(init.downloadLimitBytes),
  });
  const cores = new CoreTurns(init.maxCores);
  const orders: OperatorOrders = await OperatorOrders.open({
    file: path.join(dataDir, 'orders.json'),
    onChange: () => obey(orders, { replicas, announcer, logger }),
  });
  const policy = new NodePolicy(init, orders);
  const replicas: ReplicaSet = new ReplicaSet(
    {
      ...{ peer, store, fetcher, backend, releases, experience, cores, policy },
      gpus: devices.gpus,
      changed: () => changed(),
    },
    init,
  );
  const retirement = new VersionRetirement({
    ...{ replicas, knowledge },
    isPinned: (cid) => policy.isPinned(cid),
    releases: peer.releases,
    idleMs: init.retireAfterMs,
    logger,
  });
  opened.push(() => retirement.stop());
  const { scaling } = init;
  const scaler =
    scaling === undefined
      ? undefined
      : createScaler(
          { peer, store, replicas, fetcher, backend, policy, gpus: devices.gpus },
          { ...init, scaling },
        );
  if (scaler !== undefined) opened.push(() => scaler.stop());
  const ownerKey = init.ownerKey ?? privateKey;
  const announcer: Announcer = new Announcer(
    peer,
    {
      versions: () => replicas.announced(),
      devices: () => devices.devices,
      // Who follows no demand takes nothing more that anybody could count on.
      room: () => scaler?.room ?? { roomBytes: 0 },
      terms: () => termsOf(init, { orders, handover }),
    },
    {
      privateKey,
      owner: peerIdFromPrivateKey(ownerKey).toString() as OwnerId,
      ownerCertificate: await signOwnerCertificate(peer.id, ownerKey),
      zone: init.zone,
      tags: init.tags,
      agent: AGENT,
      intervalMs: init.announceIntervalMs,
      logger,
    },
  );
  opened.push(() => announcer.stop());
  const handover: Handover = new Handover(
    {
      ...{ peer, replicas, logger },
      manifest: (cid) => store.manifest(cid),
      isReleased: (cid) => knowledge.current(cid),
      announce: () => announcer.changed(),
    },
    { timeoutMs: init.handoverTimeoutMs },
  );
  peer.topics.keep(() => replicas.announced());
  const changed = (): void => {
    for (const { publisher, name, cid } of replicas.announced()) {
      peer.follow(publisher, name);
      peer.demand.join(cid);
    }
    announcer.changed();
  };
  const state = {
    replicas: () => replicas.replicas,
    memory: () => replicas.ledger.memory,
    plan: () => scaler?.plan ?? [],
  };
  const metrics = await openMetrics(init.metrics, state, opened);
  const { inference, spans } = createInference(
    { ...{ peer, store, replicas, scaler, privateKey }, requests: metrics?.requests },
    init,
  );
  const pause: NodePause = await NodePause.open({
    file: path.join(dataDir, 'paused'),
    onChange: (reason) => rest({ inference, announcer, replicas, logger }, reason),
  });
  const watch = new OwnerWatch(
    { pause, gpuProcesses: () => devices.gpus.processes },
    {
      hours: init.servingHours === undefined ? undefined : parseServingHours(init.servingHours),
      yieldGpu: init.yieldGpu,
    },
  );
  opened.push(async () => watch.stop());
  const drained = Promise.withResolvers<void>();
  const verbs = {
    ...storeVerbs(store.upkeep, createVersionRepair({ fetcher, replicas, logger })),
    ...drainVerbs({ handover, drained: drained.resolve }),
    ...orderVerbs(orders),
    ...nodeVerbs({
      ...{ pause, orders, handover },
      replicas: () => replicas.replicas,
      facts: () => ({
        node: peer.id,
        devices: devices.devices,
        cores: { total: cores.total, busy: cores.busy },
        memory: replicas.ledger.memory,
        ...{ costPerHour: init.costPerHour ?? null, watts: init.watts ?? null },
        plan: scaler?.plan ?? [],
      }),
    }),
  };
  return {
    init,
    records,
    store,
    devices,
    isolation,
    backend,
    policy,
    peer,
    releases,
    replicas,
    experience,
    inference,
    metrics,
    spans,
    announcer,
    packing,
    knowledge,
    retirement,
    scaler,
    handover,
    drained: drained.promise,
    pause,
    watch,
    control: await openControl(init, verbs, opened),
  };
}
