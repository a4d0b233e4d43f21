import path from 'node:path';
import type { SwarmError } from '../../../protocols/errors.ts';
import { DEFAULT_NETWORK } from '../../../protocols/protocol-id.ts';
import type { NodeId } from '../../../protocols/types.ts';
import { counted, formatConfidence, formatMs, formatShare, roundMs } from '../figures.ts';
import { packageVersion } from '../package-root.ts';
import { printable, shortId } from '../printable.ts';
import { printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { BundledInput } from './bundled-models.ts';
import type { Publication } from './demo-publication.ts';
import { type FailoverResult, LOAD_IN_FLIGHT } from './failover.ts';
import type { FleetChange } from './fleet-keeper.ts';
import type { LocalSwarm, SwarmMember } from './local-swarm.ts';

/** Characters of an input's name in a table. */
const MAX_INPUT_CHARACTERS = 56;

/** What a bundled input was answered. */
export interface DemoAnswer {
  readonly input: BundledInput;
  readonly text: string;
  /** In the model's own unit; null when it does not say. */
  readonly confidence: number | null;
  /** Best first, of a model that ranks. */
  readonly ranked: readonly string[] | undefined;
  readonly node: NodeId;
  readonly latencyMs: number;
}

/** How often a model was right about inputs that its training never saw. */
export interface Accuracy {
  readonly right: number;
  readonly rows: number;
}

/** Tells what happens in a local swarm: every event to programs, a page to people. */
export class UpReport {
  readonly #terminal: Terminal;
  readonly #swarm: LocalSwarm;

  constructor(terminal: Terminal, swarm: LocalSwarm) {
    this.#terminal = terminal;
    this.#swarm = swarm;
  }

  starting(nodes: number): void {
    this.#terminal.print(
      `${this.#strong('gpu-swarm')} ${packageVersion()}: a bootstrap server and ${counted(nodes, 'node')}, each a process of this machine\n`,
    );
  }

  ready({ name, id, address, pid }: SwarmMember): void {
    this.#terminal.event({ event: 'ready', name, id, addresses: [address], pid });
  }

  /** All processes serve: tells people of them in one table, whose order does not depend on who was first. */
  serving(members: readonly SwarmMember[]): void {
    printTable(
      this.#terminal,
      ['PROCESS', 'PEER', 'ADDRESS', 'PID'],
      inOrder(members).map(({ name, id, address, pid }) => [
        name,
        shortId(id),
        address.replace(/\/p2p\/.*/, ''),
        String(pid),
      ]),
      { right: [3], indent: 2 },
    );
  }

  /** The number of nodes follows demand. */
  resized({ present, wanted }: FleetChange): void {
    this.#terminal.event({ event: 'resized', present, wanted });
    if (!this.#terminal.json) {
      const what = wanted > present ? 'more are wanted' : 'fewer are wanted';
      this.#terminal.print(`${counted(present, 'node')}, ${what}: ${wanted}`);
    }
  }

  lost(name: string, why: string): void {
    this.#terminal.event({ event: 'lost', name, why });
    if (!this.#terminal.json) {
      this.#terminal.note(
        `${this.#terminal.style('bad', 'lost:')} ${name} ended (${printable(why)})`,
      );
    }
  }

  published(publications: readonly Publication[]): void {
    for (const { model, reference, cid, replicas } of publications) {
      this.#terminal.event({
        event: 'published',
        model: model.name,
        reference,
        version: cid,
        replicas,
      });
    }
    this.#terminal.print('\nPublished, and READY on the nodes named:\n');
    printTable(
      this.#terminal,
      ['MODEL', 'VERSION', 'READY ON'],
      publications.map(({ model, cid, replicas }) => [
        model.name,
        shortId(cid),
        replicas
          .map((id) => this.#name(id))
          .sort()
          .join(', '),
      ]),
      { indent: 2 },
    );
  }

  answered({ model }: Publication, answer: DemoAnswer): void {
    const { input, text, confidence, ranked, node, latencyMs } = answer;
    this.#terminal.event({
      event: 'result',
      model: model.name,
      input: input.name,
      answer: text,
      confidence,
      ...(ranked === undefined ? {} : { ranked }),
      expected: input.expected,
      node,
      nodeName: this.#name(node),
      latencyMs: roundMs(latencyMs),
    });
  }

  failed({ model }: Publication, input: string, error: SwarmError): void {
    const { code, message } = error;
    this.#terminal.event({ event: 'failed', model: model.name, input, code, message });
    if (!this.#terminal.json) {
      this.#terminal.note(
        `${this.#terminal.style('bad', 'failed:')} ${model.name}, ${input}: ${printable(message)} (${code})`,
      );
    }
  }

  results({ model, manifest }: Publication, answers: readonly DemoAnswer[]): void {
    const { task } = manifest.metadata;
    const what = task === undefined ? '' : `: ${printable(task.replaceAll('-', ' '), 64)}`;
    this.#terminal.print(`\n${this.#strong(model.name)}${what}\n`);
    printTable(
      this.#terminal,
      ['INPUT', 'ANSWER', 'CONFIDENCE', 'NODE', 'LATENCY'],
      answers.map((answer) => [
        printable(answer.input.name, MAX_INPUT_CHARACTERS),
        this.#answer(answer),
        formatConfidence(answer.confidence),
        this.#name(answer.node),
        formatMs(answer.latencyMs),
      ]),
      { right: [2, 4], indent: 2 },
    );
  }

  accuracy({ model }: Publication, { right, rows }: Accuracy): void {
    this.#terminal.event({
      event: 'accuracy',
      model: model.name,
      right,
      rows,
      accuracy: right / rows,
    });
    this.#terminal.print(
      `\n  ${this.#terminal.style('good', formatShare(right / rows))} right on the held-out set: ${right} of ${rows} inputs that training never saw`,
    );
  }

  killing(): void {
    this.#terminal.print(
      `\n${this.#strong('A node dies')}: ${LOAD_IN_FLIGHT} requests are kept in flight, then the busiest node is killed\n`,
    );
  }

  killed(node: NodeId): void {
    this.#terminal.event({ event: 'killed', node, nodeName: this.#name(node) });
  }

  failover({ killed, tally }: FailoverResult): void {
    const { requests, failed, retried, changed, slowestMs } = tally;
    for (const { model, by } of tally.takeovers()) {
      this.#terminal.event({ event: 'takeover', model, from: killed, by });
      const took = by.map((id) => this.#name(id)).join(' and ');
      this.#terminal.print(
        `  ${model}: ${this.#name(killed)} died, ${took === '' ? this.#terminal.style('bad', 'nobody took over') : `${took} took over`}`,
      );
    }
    this.#terminal.event({
      event: 'failover',
      killed,
      requests,
      failed,
      retried,
      changed,
      slowestMs: roundMs(slowestMs),
    });
    const outcome =
      failed === 0
        ? this.#terminal.style('good', 'none failed')
        : this.#terminal.style('bad', `${failed} failed`);
    this.#terminal.print(
      `\n  ${counted(requests, 'request')}, ${outcome}; ${retried} went on to another node, the slowest took ${formatMs(slowestMs)}`,
    );
    if (changed > 0) {
      this.#terminal.print(
        this.#terminal.style('bad', `  ${counted(changed, 'answer')} differed from the one before`),
      );
    }
    for (const [message, count] of tally.failures) {
      this.#terminal.note(`  ${count} × ${printable(message)}`);
    }
  }

  /** What to try while the swarm stays up: lines to copy. */
  next(publications: readonly Publication[], cwd: string, network: string): void {
    const { bootstrapAddress: bootstrap, keyFile } = this.#swarm;
    this.#terminal.event({ event: 'up', bootstrap, network, publisherKey: keyFile });
    const [first, ...others] = inferCommands(publications, cwd);
    const lines = [
      ...variables({ SWARM_BOOTSTRAP: bootstrap, SWARM_NETWORK: network }),
      ...others,
      'npx swarm models ls',
      'npx swarm nodes ls',
      'npx swarm top',
      `npx swarm publish model.onnx --name my-model --key ${quote(keyFile)}`,
    ];
    this.#terminal.print(`\n${this.#strong('The swarm stays up.')} In another terminal, try:\n`);
    if (first !== undefined) {
      const option = network === DEFAULT_NETWORK ? '' : ` --network ${network}`;
      this.#terminal.print(`  ${first} --bootstrap ${bootstrap}${option}\n`);
      this.#terminal.print('or, with the way in set once:\n');
    }
    for (const line of lines) this.#terminal.print(`  ${line}`);
    this.#terminal.print('\nCtrl-C ends it, with every process it started.');
  }

  /** After the end of every process. */
  done(outcome: {
    readonly ok: boolean;
    readonly requests: number;
    readonly failed: number;
  }): void {
    const { ok, requests, failed } = outcome;
    const said = ok
      ? this.#terminal.style('good', 'done')
      : this.#terminal.style('bad', 'not well');
    const counts = requests === 0 ? '' : ` ${counted(requests, 'request')}, ${failed} failed;`;
    this.#terminal.print(`\n${said}:${counts} every process has ended`);
    this.#terminal.event({ event: 'done', ok, requests, failed });
  }

  /** What the model says and, where that is wrong, the truth. */
  #answer({ input: { expected }, text, ranked = [text] }: DemoAnswer): string {
    const said = printable(ranked.join(', '), MAX_INPUT_CHARACTERS);
    return text === expected ? said : this.#terminal.style('bad', `${said} (it is ${expected})`);
  }

  #name(id: NodeId): string {
    return this.#swarm.nameOf(id);
  }

  #strong(text: string): string {
    return this.#terminal.style('strong', text);
  }
}

/** By name, the bootstrap server first. */
function inOrder(members: readonly SwarmMember[]): SwarmMember[] {
  return members.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** One picture and one request, where the models have them. */
function inferCommands(publications: readonly Publication[], cwd: string): string[] {
  const commands: string[] = [];
  for (const picture of [true, false]) {
    for (const { model, reference } of publications) {
      const input = model.inputs.find(({ file }) => file.endsWith('.json') !== picture);
      if (input === undefined) continue;
      const option = picture ? '--image' : '--request';
      commands.push(`npx swarm infer ${reference} ${option} ${quote(shorter(input.file, cwd))}`);
      break;
    }
  }
  return commands;
}

/** Lines that set the environment as this machine's shell does; none for what has its default. */
function variables(values: { SWARM_BOOTSTRAP: string; SWARM_NETWORK: string }): string[] {
  const set = process.platform === 'win32' ? 'set' : 'export';
  return Object.entries(values)
    .filter(([, value]) => value !== DEFAULT_NETWORK)
    .map(([name, value]) => `${set} ${name}=${value}`);
}

function shorter(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative.length < file.length ? relative : file;
}

/** A word that a shell takes as one, whatever is in it. */
function quote(word: string): string {
  return /^[\w@%+=:,./\\-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
