import { totalPerS } from '../../protocols/demand/index.ts';
import type { LocalSwarm } from '../../src/cli/up/local-swarm.ts';
import type { VersionView } from '../../src/policy/scaling/scaling-view.ts';
import type { ScalingOnlooker, StandingVersion } from '../../src/swarm/scaling-onlooker.ts';
import type { DemoModel } from './demo-models.ts';

export interface DemoPictureInit {
  readonly onlooker: ScalingOnlooker;
  readonly swarm: Pick<LocalSwarm, 'nameOf'>;
  readonly say: (line: string) => void;
}

/** How the models of the demonstration stand; tells of every change. */
export class DemoPicture {
  readonly #models: readonly DemoModel[];
  readonly #init: DemoPictureInit;
  readonly #said = new Map<string, string>();
  readonly #ready = new Map<string, number>();

  constructor(models: readonly DemoModel[], init: DemoPictureInit) {
    this.#models = models;
    this.#init = init;
  }

  /** Nodes where a model is READY, by the last look. */
  ready({ name }: DemoModel): number {
    return this.#ready.get(name) ?? 0;
  }

  look(): void {
    const { onlooker, say } = this.#init;
    const { view, versions } = onlooker.look(Date.now());
    for (const { name, cid } of this.#models) {
      const version = view.versions.find((one) => one.cid === cid);
      const planned = versions.find((one) => one.cid === cid);
      if (version === undefined || planned === undefined) continue;
      const states = this.#states(version);
      this.#ready.set(name, version.replicas.filter(({ state }) => state === 'ready').length);
      if (this.#said.get(name) === states) continue;
      this.#said.set(name, states);
      say(`    ${name.padEnd(6)} ${demandOf(version, planned)}: ${states || 'on no node'}`);
    }
  }

  #states({ replicas }: VersionView): string {
    return replicas
      .filter(({ state }) => state !== 'gone')
      .map(({ node, state }) => `${this.#init.swarm.nameOf(node)} ${WORDS[state]}`)
      .toSorted()
      .join(', ');
  }
}

const WORDS = {
  ready: 'serves it',
  loading: 'loads it',
  cold: 'has it on its disk',
  quarantined: 'had trouble with it',
  gone: 'had it',
} as const;

function demandOf({ reports }: VersionView, { desired }: StandingVersion): string {
  const perS = reports.reduce((sum, { panic }) => sum + totalPerS(panic), 0);
  return `${perS.toFixed(0).padStart(3)} requests/s, wants ${desired}`;
}
