import type { Mover } from './mover.ts';

/** Loaded one by one: a process holds its own mover and none of the others. */
const MOVERS = {
  'gpu-swarm': async () => (await import('./swarm-mover.ts')).swarmMover,
  'tls socket': async () => (await import('./tls-mover.ts')).tlsMover,
  bitswap: async () => (await import('./bitswap-mover.ts')).bitswapMover,
} satisfies Record<string, () => Promise<Mover>>;

export type MoverName = keyof typeof MOVERS;

/** What the others are compared with. */
export const OURS: MoverName = 'gpu-swarm';

/** The least that has to be done: no framing, no chunks, one hash. */
export const LIMIT: MoverName = 'tls socket';

/** Is there only after it was installed beside the project. */
export const BITSWAP: MoverName = 'bitswap';

export const MOVER_NAMES = Object.keys(MOVERS) as MoverName[];

export async function loadMover(name: MoverName): Promise<Mover> {
  return MOVERS[name]();
}
