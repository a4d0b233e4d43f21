import type { DrainStatus } from '../../../node/index.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT } from '../exit-code.ts';
import { runningNode } from '../running-node.ts';

/** `swarm node drain`: ends a running node once others serve what it serves. */
export async function runNodeDrain(context: CommandContext): Promise<number> {
  const { terminal, signal } = context;
  const node = await runningNode(context);
  let owed: DrainStatus['owed'] = [];
  for await (const item of node.ask({ verb: 'node.drain' }, signal)) {
    // The other end is this program.
    ({ owed } = item as DrainStatus);
    terminal.event({ event: 'drain', owed });
    if (owed.length > 0) terminal.note(`others take over: ${owed.join(', ')}`);
  }
  terminal.print(
    owed.length === 0
      ? 'others serve what this node served: it ends what it has, and stops'
      : `time is up, and others do not serve ${owed.join(', ')} enough: the node ends what it has, and stops`,
  );
  return EXIT.ok;
}
