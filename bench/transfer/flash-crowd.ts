import type { BenchHost } from '../command.ts';
import { OURS } from './movers.ts';
import { PeerProcess } from './peer-process.ts';
import type { Sample } from './row.ts';

export interface FlashCrowdOptions {
  /** The model that all want. */
  readonly file: string;
  /** For what the processes keep. */
  readonly folder: string;
  readonly nodes: number;
  /** Bytes a second that the only one who has the model sends at most. */
  readonly uploadBytesPerSecond: number;
  readonly profileDir?: string | undefined;
}

/**
 * A crowd of nodes, each a process of its own, that all want the same model at the same time from a seeder whose upload is
 * bounded. The sample's time is until the last has it.
 */
export async function measureFlashCrowd(
  options: FlashCrowdOptions,
  host: BenchHost,
): Promise<Sample> {
  const { folder, nodes, uploadBytesPerSecond, profileDir } = options;
  const members: PeerProcess[] = [];
  const init = { mover: OURS, folder, profileDir };
  host.progress(`flash crowd: starting ${nodes} nodes`);
  const seeder = await PeerProcess.start({
    ...init,
    what: `seeder of ${nodes}`,
    uploadBytesPerSecond,
  });
  try {
    const reference = await seeder.hold(options.file);
    for (let index = 0; index < nodes; index += 1) {
      host.signal.throwIfAborted();
      const member = await PeerProcess.start({ ...init, what: `node ${index} of ${nodes}` });
      members.push(member);
      // One connection between any two: who came later dials.
      await member.connect([seeder, ...members.slice(0, index)]);
    }
    host.signal.throwIfAborted();
    host.progress(`flash crowd: ${nodes} nodes fetch`);
    const cpuBefore = await seeder.cpuSeconds();
    const before = performance.now();
    const fetched = await Promise.all(
      members.map(async (member) =>
        member.fetch(reference, [seeder, ...members.filter((other) => other !== member)]),
      ),
    );
    const seconds = (performance.now() - before) / 1000;
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    return {
      seconds,
      movedBytes: sum(fetched.map(({ movedBytes }) => movedBytes)),
      sourceCpuSeconds: (await seeder.cpuSeconds()) - cpuBefore,
      sinkCpuSeconds: sum(fetched.map(({ cpuSeconds }) => cpuSeconds)),
    };
  } finally {
    await Promise.all(members.map(async (member) => member.stop()));
    await seeder.stop();
  }
}
