import type { BenchHost } from '../command.ts';
import type { MoverName } from './movers.ts';
import { PeerProcess } from './peer-process.ts';
import type { Sample } from './row.ts';

export interface OneSourceOptions {
  readonly movers: readonly MoverName[];
  /** The model that is moved. */
  readonly file: string;
  /** For what the processes keep. */
  readonly folder: string;
  readonly rounds: number;
  readonly profileDir?: string | undefined;
}

/** The same file from one source to one sink, over each mover in turn, round after round. */
export async function measureOneSource(
  options: OneSourceOptions,
  host: BenchHost,
): Promise<ReadonlyMap<MoverName, readonly Sample[]>> {
  const { movers, rounds } = options;
  const pairs: SourceAndSink[] = [];
  const samples = new Map<MoverName, Sample[]>();
  try {
    for (const mover of movers) {
      host.signal.throwIfAborted();
      host.progress(`one source: starting ${mover}`);
      pairs.push(await SourceAndSink.start(mover, options));
      samples.set(mover, []);
    }
    for (let round = 0; round <= rounds; round += 1) {
      host.progress(
        round === 0 ? 'one source: warming up' : `one source: round ${round} of ${rounds}`,
      );
      for (let turn = 0; turn < pairs.length; turn += 1) {
        host.signal.throwIfAborted();
        // Each round begins with another one: whoever follows a heavy one would always pay for what it left to write.
        const pair = pairs[(turn + round) % pairs.length] as SourceAndSink;
        const sample = await pair.measure();
        if (round > 0) samples.get(pair.mover)?.push(sample);
      }
    }
    return samples;
  } finally {
    for (const pair of pairs) await pair.stop();
  }
}

/** A source and a sink over one mover; idle except while they are measured. */
class SourceAndSink {
  readonly mover: MoverName;
  readonly #source: PeerProcess;
  readonly #sink: PeerProcess;
  readonly #reference: string;

  private constructor(mover: MoverName, source: PeerProcess, sink: PeerProcess, reference: string) {
    this.mover = mover;
    this.#source = source;
    this.#sink = sink;
    this.#reference = reference;
  }

  static async start(mover: MoverName, options: OneSourceOptions): Promise<SourceAndSink> {
    const source = await PeerProcess.start({ ...options, mover, what: `${mover} source` });
    try {
      const reference = await source.hold(options.file);
      const sink = await PeerProcess.start({ ...options, mover, what: `${mover} sink` });
      return new SourceAndSink(mover, source, sink, reference);
    } catch (error) {
      await source.stop();
      throw error;
    }
  }

  async measure(): Promise<Sample> {
    await this.#sink.connect([this.#source]);
    const before = await this.#source.cpuSeconds();
    const fetched = await this.#sink.fetch(this.#reference, [this.#source]);
    const after = await this.#source.cpuSeconds();
    await this.#sink.forget(this.#reference);
    const { seconds, movedBytes, cpuSeconds } = fetched;
    return { seconds, movedBytes, sourceCpuSeconds: after - before, sinkCpuSeconds: cpuSeconds };
  }

  async stop(): Promise<void> {
    // The sink first: a source that goes away under it would be an error to tell.
    await this.#sink.stop();
    await this.#source.stop();
  }
}
