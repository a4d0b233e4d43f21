import path from 'node:path';
import {
  type AllowList,
  createNode,
  MAX_PRICE_PER_KWH,
  MAX_WATTS,
  type NodeCostInit,
  type SwarmNode,
} from '../../../node/index.ts';
import { MAX_COST_PER_HOUR } from '../../../protocols/capacity/index.ts';
import { ConfigError } from '../../../protocols/errors.ts';
import { parsePublisherId } from '../../../protocols/reference.ts';
import { formatAddress, parseListenAddress } from '../../swarm/listen-address.ts';
import { byteSetting } from '../byte-setting.ts';
import type { CommandContext } from '../command-context.ts';
import { type Daemon, serveUntilTold } from '../daemon.ts';
import { dataFolder } from '../data-folder.ts';
import { isTerminated } from '../interrupt.ts';
import { openKey } from '../key-file.ts';
import { parseNumber } from '../quantity.ts';
import { scalingInit } from '../scaling-settings.ts';
import { type SettingKey, settingSpec } from '../settings.ts';
import { printPairs } from '../table.ts';

interface NodeDaemon extends Daemon {
  readonly node: SwarmNode;
}

/** `swarm node`: serves models until it is told to end. */
export async function runNode(context: CommandContext): Promise<number> {
  const { settings, terminal, cwd, env } = context;
  const dataDir = path.resolve(cwd, dataFolder('node', settings.data, env));
  const allowPublishers = allowList('allowPublisher', settings.allowPublisher);
  const allowCallers = allowList('allowCaller', settings.allowCaller);
  const maxMemoryBytes = byteSetting(context, 'maxMemory');
  const storeQuotaBytes = byteSetting(context, 'storeQuota');
  const uploadLimitBytes = byteSetting(context, 'uploadLimit');
  const downloadLimitBytes = byteSetting(context, 'downloadLimit');
  const cost = nodeCost(settings);
  const owner =
    settings.ownerKey === undefined ? undefined : await openKey(context, settings.ownerKey);
  if (owner?.made === true) {
    terminal.note(
      `made an owner key: ${owner.file} (owner ${owner.id}); your other nodes need it too`,
    );
  }
  return serveUntilTold<NodeDaemon>(context, {
    role: 'node',
    start: async (logger) => {
      const node = await createNode({
        dataDir,
        bootstrap: settings.bootstrap,
        listen: settings.listen,
        announce: settings.announce,
        network: settings.network,
        mdns: settings.mdns,
        allowPublishers,
        allowCallers,
        allowVersions: anyOr(settings.allowVersion),
        allowTasks: anyOr(settings.allowTask),
        zone: settings.zone,
        ...cost,
        tags: settings.tag,
        ownerKey: owner?.key,
        maxCores: settings.maxCores,
        threads: settings.threads,
        maxMemoryBytes,
        servingHours: settings.servingHours,
        yieldGpu: settings.yieldGpu,
        maxRequestBytes: settings.maxRequestBytes,
        maxQueued: settings.maxQueued,
        executionLimitMs: settings.executionLimitMs,
        loopLimitMs: settings.loopLimitMs,
        retireAfterMs: settings.retireAfterMs,
        isolation: settings.isolation,
        receipts: settings.receipts === 'on',
        scaling: scalingInit(settings),
        announceIntervalMs: settings.announceIntervalMs,
        storeQuotaBytes,
        uploadLimitBytes,
        downloadLimitBytes,
        handoverTimeoutMs: settings.handoverTimeoutMs,
        otlp: settings.otlp,
        metrics: parseListenAddress(settings.metrics ?? 'off', '--metrics'),
        logger,
      });
      return {
        ...{ node, id: node.id, addresses: node.addresses, drained: node.drained },
        stop: () => leave(node, context.signal),
      };
    },
    facts: ({ node }) => ({
      ...{ owner: owner?.id ?? node.id, isolation: node.isolation.kind },
      ...servedMetrics(node),
    }),
    introduce: ({ node }) => {
      terminal.print(`node ${terminal.style('strong', node.id)}`);
      printPairs(terminal, [
        ['network', settings.network],
        ['data', dataDir],
        ['owner', owner?.id ?? 'itself'],
        ['publishers', allowPublishers === 'any' ? 'any' : allowPublishers.join(' ') || 'none'],
        ['isolation', describeIsolation(node.isolation)],
        ['callers', allowCallers === 'any' ? 'any' : allowCallers.join(' ') || 'none'],
        ...node.addresses.map((address) => ['address', address] as const),
        ...Object.entries(servedMetrics(node)),
      ]);
      if (allowPublishers.length === 0) {
        terminal.note('it runs no models yet: --allow-publisher <id> says whose it may run');
      }
    },
  });
}

/** Whoever presses Ctrl-C waits for nobody; a service manager that restarts one node after the other gives them the time. */
async function leave(node: SwarmNode, signal: AbortSignal): Promise<void> {
  if (isTerminated(signal)) await node.handedOver();
  await node.stop();
}

function servedMetrics({ metricsAddress }: SwarmNode): Record<string, string> {
  return metricsAddress === undefined
    ? {}
    : { metrics: `http://${formatAddress(metricsAddress)}/metrics` };
}

function describeIsolation({ kind, reason }: SwarmNode['isolation']): string {
  return reason === undefined ? kind : `none but a ${kind} of its own: ${reason}`;
}

function anyOr(names: readonly string[]): AllowList {
  return names.includes('any') ? 'any' : names;
}

function nodeCost(settings: CommandContext['settings']): NodeCostInit {
  const { costPerHour, watts, pricePerKwh } = settings;
  if (costPerHour !== undefined && watts !== undefined) {
    throw new ConfigError('--cost-per-hour and --watts are both set, expected one of them');
  }
  const number = (text: string | undefined, flag: string, max: number): number | undefined =>
    text === undefined ? undefined : parseNumber(text, flag, [0, max]);
  return {
    costPerHour: number(costPerHour, '--cost-per-hour', MAX_COST_PER_HOUR),
    watts: number(watts, '--watts', MAX_WATTS),
    pricePerKwh: number(pricePerKwh, '--price-per-kwh', MAX_PRICE_PER_KWH),
  };
}

/** `any` wins over ids beside it; an id that is none is an error here, not a caller who is never served. */
function allowList(key: SettingKey, ids: readonly string[]): AllowList {
  if (ids.includes('any')) return 'any';
  for (const id of ids) {
    try {
      parsePublisherId(id);
    } catch (cause) {
      throw new ConfigError(
        `${settingSpec(key).flags.split(' ')[0]} has ${JSON.stringify(id.slice(0, 80))}, expected a peer id such as 12D3KooW… or 'any'`,
        { cause },
      );
    }
  }
  return ids;
}
