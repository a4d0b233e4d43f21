import { formatBytes } from '../../protocols/byte-size.ts';
import { resolveGuard } from '../../protocols/release/index.ts';
import type { PublishProgress, PublishResult } from '../client/publisher.ts';
import { describeGuard } from './guard-options.ts';
import { printable, shortId } from './printable.ts';
import { ProgressBars } from './progress-bars.ts';
import { printPairs } from './table.ts';
import type { Terminal } from './terminal.ts';

/** A node's progress is told again at each of these shares of the bytes, so that a fetch of an hour is ten lines. */
const FETCH_STEPS = 10;

/** Tells how a publication gets on: every step to programs, what a person wants to hear to people. */
export class PublishReport {
  readonly #terminal: Terminal;
  /** Of the nodes that fetch; lines tell the same where no bars can be drawn. */
  readonly #bars: ProgressBars;
  /** What was last told of each node, so that nothing is told twice. */
  readonly #told = new Map<string, string>();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#bars = new ProgressBars(terminal);
  }

  progress(step: PublishProgress): void {
    const { node, ...rest } = step;
    this.#terminal.event({ event: 'progress', node, ...rest });
    if (this.#terminal.json) return;
    if (this.#drawn(step)) return;
    const [key, text] = describe(step);
    if (this.#told.get(node) === key) return;
    this.#told.set(node, key);
    this.#terminal.note(`${this.#terminal.style('dim', shortId(node))}  ${text}`);
  }

  /** True when a bar says it all. */
  #drawn(step: PublishProgress): boolean {
    const label = shortId(step.node);
    if (step.state !== 'fetching' || step.totalBytes === null || step.totalBytes === 0) {
      this.#bars.end(label);
      return false;
    }
    if (this.#bars.shown) this.#bars.set(label, step.bytes, step.totalBytes);
    return this.#bars.shown;
  }

  published(result: PublishResult): void {
    const { publisher, name, channel, cid, sequence, replicas, guard, previous } = result;
    const reference = `${publisher}/${name}`;
    this.#terminal.event({
      event: 'published',
      reference,
      publisher,
      name,
      channel,
      version: cid,
      sequence,
      replicas,
      guard: guard === null ? null : resolveGuard(guard),
      previous,
    });
    this.#terminal.print(this.#terminal.style('strong', reference));
    printPairs(this.#terminal, [
      ['publisher', publisher],
      ['name', name],
      ['channel', channel],
      ['version', cid],
      ['sequence', String(sequence)],
      ['ready on', replicas.map(shortId).join(', ')],
      ...(guard === null ? [] : [['guard', describeGuard(guard)] as const]),
    ]);
    if (guard === null || this.#terminal.json) return;
    this.#terminal.note(
      previous === null
        ? `The guard has nothing to fall back to: '${channel}' pointed at no other version before.`
        : `When the guard trips, clients fall back to ${previous}.`,
    );
  }
}

/** A step as a key, equal for steps that are not worth telling apart, and as words. */
function describe(step: PublishProgress): [key: string, text: string] {
  switch (step.state) {
    case 'fetching': {
      const { bytes, totalBytes } = step;
      if (totalBytes === null || totalBytes === 0) return ['fetching', 'fetches the model'];
      const tenth = Math.floor((bytes / totalBytes) * FETCH_STEPS);
      return [
        `fetching ${tenth}`,
        `fetches the model: ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
      ];
    }
    case 'loading':
      return ['loading', 'loads it'];
    case 'ready':
      return ['ready', 'is READY'];
    case 'refused':
      return ['refused', `refused: ${printable(step.message)} (${printable(step.code)})`];
  }
}
