import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ConnectionError, type ErrorCode, SwarmError } from '../../protocols/errors.ts';
import { controlAddress } from './control-address.ts';
import type { ControlAnswer, ControlRequest } from './control-verb.ts';
import { readLines } from './line-reader.ts';

/** Characters of one item: the longest sensible one has some hundreds. */
const MAX_ITEM_UNITS = 1024 * 1024;

/** The running node of a data folder, asked once. */
export interface NodeControl {
  /**
   * What the node answers, item by item.
   *
   * @throws the node's own failure, by its code; {ERR_CONNECTION} when the node ends in the middle.
   */
  ask(request: ControlRequest, signal: AbortSignal): AsyncGenerator;
}

/** Finds the running node of a data folder; undefined when none runs there. */
export async function findNode(
  dataDir: string,
  signal: AbortSignal,
): Promise<NodeControl | undefined> {
  const address = controlAddress(dataDir);
  if (address === undefined) return undefined;
  const socket = connect(address);
  try {
    await once(socket, 'connect', { signal });
  } catch {
    signal.throwIfAborted();
    // No socket, or one that a crash left: nobody listens.
    socket.destroy();
    return undefined;
  }
  return { ask: (request, askSignal) => ask(socket, request, askSignal) };
}

async function* ask(socket: Socket, request: ControlRequest, signal: AbortSignal): AsyncGenerator {
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort);
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of readLines(socket, MAX_ITEM_UNITS)) {
      // The other end is this program.
      const answer = JSON.parse(line) as ControlAnswer;
      if ('done' in answer) return;
      if ('failed' in answer) {
        const { code, message } = answer.failed;
        throw new SwarmError(code as ErrorCode, message);
      }
      yield answer.item;
    }
    signal.throwIfAborted();
    throw new ConnectionError('the node ended before it had answered');
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}
