import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { ConfigError } from '../../../protocols/errors.ts';
import { createClient } from '../../client/client.ts';
import type { TlsInit } from '../../gateway/access/tls-files.ts';
import { type Gateway, startGateway } from '../../gateway/gateway.ts';
import { DEFAULT_GRPC_ADDRESS, DEFAULT_METRICS_ADDRESS } from '../../gateway/gateway-defaults.ts';
import { parseMetricsCompat } from '../../gateway/metrics/gateway-metrics.ts';
import type { ResponseCacheInit } from '../../gateway/response-cache.ts';
import { peerIdText } from '../../swarm/identity.ts';
import { formatAddress, parseListenAddress } from '../../swarm/listen-address.ts';
import type { CommandContext } from '../command-context.ts';
import { type Daemon, serveUntilTold } from '../daemon.ts';
import { fleetInit } from '../fleet-settings.ts';
import { holdIdentity } from '../identity-turn.ts';
import { isTerminated } from '../interrupt.ts';
import { openKey } from '../key-file.ts';
import { packageVersion } from '../package-root.ts';
import { listPublishers, resolveModelNames } from '../publisher-names.ts';
import { printPairs } from '../table.ts';
import { apiKeyFile } from './api-keys.ts';

interface GatewayDaemon extends Daemon {
  readonly gateway: Gateway;
}

/** `swarm gateway`: serves the swarm as one inference server until it is told to end. */
export async function runGateway(context: CommandContext): Promise<number> {
  const { settings, signal, terminal } = context;
  const mdns = settings.mdns ?? settings.bootstrap.length === 0;
  if (settings.bootstrap.length === 0 && !mdns) {
    throw new ConfigError(
      'there is no way into the swarm: give --bootstrap, or leave out --no-mdns',
    );
  }
  const named =
    settings.identity === undefined ? undefined : await openKey(context, settings.identity);
  const privateKey = named?.key ?? (await generateKeyPair('Ed25519'));
  await using _held =
    named && (await holdIdentity(context, { id: named.id, holder: 'swarm gateway' }));
  const publishers = new Map(
    (await listPublishers(context)).map(({ petname, id }) => [petname, id] as const),
  );
  return await serveUntilTold<GatewayDaemon>(context, {
    role: 'gateway',
    start: async (logger) => {
      const gateway = await startGateway({
        connect: () =>
          createClient({
            network: settings.network,
            bootstrap: settings.bootstrap,
            mdns,
            mode: 'full',
            privateKey,
            deadlineMs: settings.deadlineMs,
          }),
        http: parseListenAddress(settings.http, '--http'),
        grpc: parseListenAddress(settings.grpc ?? DEFAULT_GRPC_ADDRESS, '--grpc'),
        metrics: parseListenAddress(settings.metrics ?? DEFAULT_METRICS_ADDRESS, '--metrics'),
        metricsCompat: parseMetricsCompat(settings.metricsCompat),
        tls: tlsFiles(context),
        otlp: settings.otlp,
        cache: await cacheSettings(context),
        version: packageVersion(),
        logger,
        publishers,
        requireModels: settings.requireModels,
        keyFile: apiKeyFile(context),
        restrictFile: settings.restrictFile && path.resolve(context.cwd, settings.restrictFile),
        ...fleetInit(settings),
        insecure: settings.insecure,
        deadlineMs: settings.deadlineMs,
        maxBodyBytes: settings.maxBodyBytes,
      });
      return {
        gateway,
        id: peerIdText(privateKey),
        addresses: Object.values(served(gateway)),
        // Who presses Ctrl-C has no load balancer that would have to notice.
        stop: () =>
          gateway.drain({
            delayMs: isTerminated(signal) ? settings.drainDelayMs : 0,
            timeoutMs: settings.drainTimeoutMs,
          }),
      };
    },
    facts: ({ gateway }) => served(gateway),
    introduce: ({ id, gateway }) => {
      terminal.print(`gateway ${terminal.style('strong', id)}`);
      printPairs(terminal, [['network', settings.network], ...Object.entries(served(gateway))]);
      terminal.note('it joins the swarm in the background: /v2/health/ready says when it serves');
    },
  });
}

async function cacheSettings(context: CommandContext): Promise<ResponseCacheInit | undefined> {
  const { cacheModels, cacheBytes } = context.settings;
  if (cacheModels.length === 0) return undefined;
  return {
    models: await resolveModelNames(context, cacheModels, '--cache-model'),
    maxBytes: cacheBytes,
  };
}

/** @throws {ERR_CONFIG} when one is set without the other. */
function tlsFiles({ cwd, settings: { tlsCert, tlsKey } }: CommandContext): TlsInit | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new ConfigError('--tls-cert and --tls-key are expected together, found one of them');
  }
  return { certFile: path.resolve(cwd, tlsCert), keyFile: path.resolve(cwd, tlsKey) };
}

/** What listens, and where. */
function served({ addresses: { http, grpc, metrics }, tls }: Gateway): Record<string, string> {
  return {
    ...(http && { http: `${tls ? 'https' : 'http'}://${formatAddress(http)}` }),
    ...(grpc && { grpc: formatAddress(grpc) }),
    ...(metrics && { metrics: `http://${formatAddress(metrics)}/metrics` }),
  };
}
