import type { ControlRequest } from '../../../node/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { runningNode } from '../running-node.ts';
import { parseCid } from '../version-operand.ts';

/** `swarm node cordon`. */
export async function runNodeCordon(context: CommandContext): Promise<number> {
  return order(context, { verb: 'node.cordon' }, 'takes no further versions');
}

/** `swarm node uncordon`. */
export async function runNodeUncordon(context: CommandContext): Promise<number> {
  return order(context, { verb: 'node.uncordon' }, 'takes versions again');
}

/** `swarm node pin`. */
export async function runNodePin(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const cid = parseCid(options['cid']);
  return order(
    context,
    { verb: 'node.pin', argument: cid },
    `keeps ${cid} in memory once it has it`,
  );
}

/** `swarm node unpin`. */
export async function runNodeUnpin(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const cid = parseCid(options['cid']);
  return order(context, { verb: 'node.unpin', argument: cid }, `lets ${cid} leave memory again`);
}

/** `swarm node forbid`. */
export async function runNodeForbid(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const cid = parseCid(options['cid']);
  return order(context, { verb: 'node.forbid', argument: cid }, `never holds ${cid}`);
}

/** `swarm node allow`. */
export async function runNodeAllow(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const cid = parseCid(options['cid']);
  return order(context, { verb: 'node.allow', argument: cid }, `may hold ${cid} again`);
}

/** Gives a running node an order, which it keeps over restarts. */
async function order(
  context: CommandContext,
  request: ControlRequest,
  done: string,
): Promise<number> {
  const node = await runningNode(context);
  for await (const item of node.ask(request, context.signal)) {
    // The other end is this program.
    context.terminal.event({ event: 'order', ...(item as Record<string, unknown>) });
  }
  context.terminal.print(`the node ${done}`);
  return EXIT.ok;
}
