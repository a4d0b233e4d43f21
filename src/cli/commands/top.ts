import { setTimeout as delay } from 'node:timers/promises';
import { totalPerS } from '../../../protocols/demand/index.ts';
import { isCapacityMeasured } from '../../policy/scaling/replica-capacity.ts';
import { resolveScalingInit, type ScalingSettings } from '../../policy/scaling/scaling-settings.ts';
import type { ScalingView } from '../../policy/scaling/scaling-view.ts';
import {
  FIRST_LOOKS,
  ScalingOnlooker,
  type ScalingPicture,
  type StandingVersion,
} from '../../swarm/scaling-onlooker.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { counted, roundMs } from '../figures.ts';
import { printable, shortId } from '../printable.ts';
import { scalingTimes } from '../scaling-settings.ts';
import { joinSwarm } from '../swarm-join.ts';
import { printTable } from '../table.ts';

/**
 * `--once` has no next look that would show what this one missed: while something is asked about versions it looks again, as often
 * and this many times, for each look asks about a few of them.
 */
const ASKING_INTERVAL_MS = 200;
const MAX_ASKING_LOOKS = 100;

/** What a version is asked for now, what it can do, and by whom it is held. */
interface Standing {
  /** Null until it is measured. */
  readonly havePerS: number | null;
  readonly askedPerS: number;
  readonly inFlight: number;
  readonly replicas: Readonly<Record<'ready' | 'loading' | 'cold' | 'quarantined', number>>;
}

/** `swarm top`: what the swarm is asked for, how many replicas that takes, and how many there are. */
export async function runTop(context: CommandContext, options: CommandOptions): Promise<number> {
  const { terminal, settings, signal } = context;
  const scaling = resolveScalingInit(scalingTimes(settings));
  const untilSeen = options['once'] === true;
  await using swarm = await joinSwarm(context);
  const onlooker = new ScalingOnlooker(swarm.peer, scaling);
  try {
    await swarm.peer.survey({ kind: 'nodes' }, { signal });
    for (let look = 1; !signal.aborted; look += 1) {
      const picture = onlooker.look(Date.now());
      const isAsking = untilSeen && onlooker.asking && look < FIRST_LOOKS + MAX_ASKING_LOOKS;
      if (look >= FIRST_LOOKS && !isAsking) {
        terminal.event({ event: 'top', ...eventOf(picture, scaling) });
        printPicture(context, picture, scaling);
        if (untilSeen) break;
      }
      const pauseMs = untilSeen && look >= FIRST_LOOKS ? ASKING_INTERVAL_MS : scaling.tickMs;
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await onlooker.stop();
  }
  return EXIT.ok;
}

function eventOf({ view, versions }: ScalingPicture, scaling: ScalingSettings) {
  return {
    nodes: view.nodes.length,
    population: view.population,
    versions: versions.map((version) => {
      const { cid, ...facts } = version;
      return { version: cid, ...facts, ...standingOf(version, view, scaling) };
    }),
  };
}

function printPicture(
  { terminal }: CommandContext,
  { view, versions }: ScalingPicture,
  scaling: ScalingSettings,
): void {
  if (terminal.json) return;
  terminal.print(
    `${counted(view.nodes.length, 'node')} known of about ${view.population}, ${counted(versions.length, 'version')} that a channel points at`,
  );
  if (versions.length === 0) return;
  const rows = versions.map((version) => {
    const { askedPerS, havePerS, inFlight, replicas } = standingOf(version, view, scaling);
    return [
      printable(version.name, 64),
      shortId(version.cid),
      String(version.desired),
      String(version.have),
      String(replicas.cold),
      formatRate(askedPerS),
      havePerS === null ? '-' : formatRate(havePerS),
      String(roundMs(inFlight)),
      describe(version),
    ];
  });
  const head = ['MODEL', 'VERSION', 'WANTED', 'HAVE', 'ON DISK', 'ASKED/S', 'CAN/S', 'IN FLIGHT'];
  printTable(terminal, [...head, 'NOTE'], rows, { right: [2, 3, 4, 5, 6, 7] });
  terminal.print('');
}

/** In words, what is out of the ordinary. */
function describe({ panic, unplaceable, desired, have }: StandingVersion): string {
  if (unplaceable !== null) {
    return printable(`no place for ${unplaceable.count}: ${unplaceable.reason}`, 120);
  }
  if (panic) return 'a crowd';
  if (desired === 0 && have === 0) return 'asleep: the first request wakes it';
  return '-';
}

function standingOf(
  { cid, havePerS }: StandingVersion,
  { versions }: ScalingView,
  scaling: ScalingSettings,
): Standing {
  const version = versions.find((one) => one.cid === cid);
  const isMeasured = version !== undefined && isCapacityMeasured(version, scaling);
  const replicas = { ready: 0, loading: 0, cold: 0, quarantined: 0 };
  for (const { state } of version?.replicas ?? []) if (state !== 'gone') replicas[state] += 1;
  let [askedPerS, inFlight] = [0, 0];
  for (const { panic, inFlight: open } of version?.reports ?? []) {
    askedPerS += totalPerS(panic);
    inFlight += open;
  }
  return {
    havePerS: isMeasured ? havePerS : null,
    askedPerS: roundMs(askedPerS),
    inFlight: roundMs(inFlight),
    replicas,
  };
}

function formatRate(perS: number): string {
  return perS >= 100 ? perS.toFixed(0) : perS.toFixed(1);
}
