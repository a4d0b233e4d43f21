import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { NodePlace } from '../paced/swarm.ts';

const run = promisify(execFile);

const COMMAND_TIMEOUT_MS = 10_000;

/** The two ends of the cable, of the addresses that are kept for benchmarks (RFC 2544). */
const HOST = '198.18.0.1';
const NODE = '198.18.0.2';

/**
 * A network of one node's own, with a cable to this host that can be cut: nothing comes through any more in either direction, and
 * nothing says so, neither FIN nor RST nor an unreachable host.
 */
export class CutNetwork implements AsyncDisposable {
  readonly #name: string;
  readonly #hostEnd: string;

  private constructor(name: string, hostEnd: string) {
    this.#name = name;
    this.#hostEnd = hostEnd;
  }

  /** @throws when this user may not make networks, or the host has no `ip` */
  static async create(): Promise<CutNetwork> {
    const id = process.pid.toString(36);
    const network = new CutNetwork(`swarm-${id}`, `sw${id}h`);
    await network.#create(`sw${id}n`);
    return network;
  }

  /** Where a node in it listens, and how it gets there. */
  get place(): NodePlace {
    const through = ['ip', 'netns', 'exec', this.#name];
    return { listen: `/ip4/${NODE}/tcp/0`, through, host: HOST };
  }

  async cut(): Promise<void> {
    await ip('-n', this.#name, 'link', 'set', 'node', 'down');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Takes the cable with it.
    await ip('netns', 'delete', this.#name);
  }

  async #create(nodeEnd: string): Promise<void> {
    const [inside, hostEnd] = [['-n', this.#name], this.#hostEnd];
    await ip('netns', 'add', this.#name);
    try {
      await ip('link', 'add', hostEnd, 'type', 'veth', 'peer', 'name', nodeEnd);
      await ip('link', 'set', nodeEnd, 'netns', this.#name);
      await ip(...inside, 'link', 'set', nodeEnd, 'name', 'node');
      await ip(...inside, 'addr', 'add', `${NODE}/30`, 'dev', 'node');
      await ip(...inside, 'link', 'set', 'lo', 'up');
      await ip(...inside, 'link', 'set', 'node', 'up');
      await ip('addr', 'add', `${HOST}/30`, 'dev', hostEnd);
      await ip('link', 'set', hostEnd, 'up');
      // Known for good: a host that asks who has the address, and is not told, would say that it is unreachable.
      const { stdout } = await ip(...inside, '-j', 'link', 'show', 'node');
      const [{ address }] = JSON.parse(stdout) as [{ readonly address: string }];
      const entry = [NODE, 'lladdr', address, 'dev', hostEnd, 'nud', 'permanent'];
      await ip('neigh', 'replace', ...entry);
    } catch (error) {
      await ip('netns', 'delete', this.#name);
      throw error;
    }
  }
}

async function ip(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  return run('ip', [...args], { timeout: COMMAND_TIMEOUT_MS });
}
