import { resolveDeployment } from '../../protocols/manifest/index.ts';
import type { OwnerId, VersionCid } from '../../protocols/types.ts';
import type { ScalingInit } from '../../src/policy/scaling/scaling-settings.ts';
import { type SwarmEvent, ScalingSwarm, swarmNode } from './scaling-swarm.ts';
import type { ScenarioStep } from './scenario.ts';

const GIB = 1024 ** 3;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };

/**
 * Runs the commands of a story about a swarm that scales itself: `settings`, `nodes`, `version`, `place`, then `ask`, `run`,
 * `die`, `drain`, `forbid`, `pin`, `lie`, `announce` as often as it takes; `show` says how the versions stand.
 */
export class ScalingStory {
  #swarm = new ScalingSwarm();

  run({ command }: ScenarioStep): string {
    const [verb = '', ...words] = command.split(' ');
    const named = words.filter((word) => word.includes('='));
    const plain = words.filter((word) => !word.includes('='));
    const settings = new Map(
      named.map((word): [string, string] => {
        const [name = '', value = ''] = word.split('=');
        return [name, value];
      }),
    );
    switch (verb) {
      case 'settings':
        this.#swarm = new ScalingSwarm(scalingInit(settings));
        return 'ok';
      case 'run':
        return this.#run(duration(plain[0]));
      case 'show':
        return this.#show(plain);
      default:
        this.#change(verb, plain, settings);
        return 'ok';
    }
  }

  #change(verb: string, plain: readonly string[], settings: ReadonlyMap<string, string>): void {
    const [first = '', ...rest] = plain;
    switch (verb) {
      case 'nodes':
        for (const name of plain) this.#swarm.nodes.push(nodeOf(name, settings));
        return;
      case 'version':
        this.#swarm.versions.push(versionOf(first, settings));
        return;
      case 'place':
        for (const node of rest) {
          this.#swarm.place(first, node, settings.get('state') === 'cold' ? 'cold' : 'ready');
        }
        return;
      case 'ask':
        this.#swarm.version(first).askedPerS = Number(rest[0]);
        return;
      case 'die':
        for (const name of plain) this.#swarm.node(name).alive = false;
        return;
      case 'drain':
        for (const name of plain) this.#swarm.node(name).accepting = false;
        return;
      case 'forbid':
        for (const name of rest) this.#swarm.node(name).refused.add(first as VersionCid);
        return;
      case 'pin':
        for (const name of rest) this.#swarm.node(name).pinned.add(first as VersionCid);
        return;
      case 'announce':
        for (const name of rest) this.#swarm.announce(first, name);
        return;
      case 'lie':
        this.#swarm.node(first).exaggeration = Number(rest[0]);
        return;
      default:
        throw new Error(`expected a command of the story, found ${verb}`);
    }
  }

  #run(durationMs: number): string {
    const from = this.#swarm.events.length;
    this.#swarm.run(durationMs);
    const happened = this.#swarm.events.slice(from);
    return happened.length === 0 ? 'nothing happens' : happened.map(sentence).join('\n');
  }

  #show(names: readonly string[]): string {
    return names
      .map((name) => {
        const on = (state: 'ready' | 'loading' | 'cold'): string => {
          const nodes = this.#swarm.holders(name, state).map((node) => node.name);
          return nodes.length === 0 ? '' : `, ${state} on ${nodes.join(' ')}`;
        };
        const seen = this.#swarm.nodes
          .find((node) => node.alive)
          ?.plan?.versions.find(({ cid }) => cid === name);
        const lacking = seen?.unplaceable
          ? `, ${seen.unplaceable.count} cannot be placed: ${seen.unplaceable.reason}`
          : '';
        return `${name}: ${seen?.have ?? 0} of ${seen?.desired ?? 0}${on('ready')}${on('loading')}${on('cold')}${lacking}`;
      })
      .join('\n');
  }
}

function sentence({ atMs, node, action }: SwarmEvent): string {
  const verb = { claim: 'claims', leave: 'leaves', prefetch: 'prefetches', forget: 'forgets' };
  const what =
    action.kind === 'move'
      ? `moves from ${action.from} to ${action.cid}`
      : `${verb[action.kind]} ${action.cid}`;
  return `${(atMs / 1_000).toFixed(1)} s: ${node} ${what}: ${action.reason}`;
}

function scalingInit(settings: ReadonlyMap<string, string>): ScalingInit {
  return Object.fromEntries([...settings].map(([name, value]) => [name, Number(value)]));
}

function nodeOf(name: string, settings: ReadonlyMap<string, string>) {
  const owner = settings.get('owner');
  return swarmNode(name, {
    memoryBytes: Number(settings.get('memory') ?? 2) * GIB,
    zone: settings.get('zone') ?? '',
    providers: settings.get('providers')?.split(',') ?? ['cpu'],
    speed: Number(settings.get('speed') ?? 1),
    costPerHour: settings.has('cost') ? Number(settings.get('cost')) : null,
    ...(owner === undefined ? {} : { owner: owner as OwnerId }),
  });
}

function versionOf(name: string, settings: ReadonlyMap<string, string>) {
  const number = (key: string, fallback: number): number => Number(settings.get(key) ?? fallback);
  const objective = settings.get('objective');
  const toZero = settings.get('toZero');
  return {
    name,
    deployment: resolveDeployment({
      minReplicas: number('min', 1),
      maxReplicas: number('max', 16),
      providers: settings.get('providers')?.split(','),
      latencyObjectiveMs: objective === undefined ? undefined : duration(objective),
      scaleToZeroDelayMs: toZero === undefined ? undefined : duration(toZero),
    }),
    memoryBytes: number('memory', 1) * GIB,
    fileBytes: number('memory', 1) * GIB,
    requestsPerS: number('rate', 10),
    loadMs: duration(settings.get('load') ?? '2s'),
    fetchMs: duration(settings.get('fetch') ?? '4s'),
    askedPerS: 0,
  };
}

function duration(text = ''): number {
  const [, digits, unit = ''] = /^([\d.]+)(ms|s|min|h)$/.exec(text) ?? [];
  const unitMs = UNITS[unit];
  if (unitMs === undefined) throw new Error(`expected a time such as 30s, found ${text}`);
  return Number(digits) * unitMs;
}
