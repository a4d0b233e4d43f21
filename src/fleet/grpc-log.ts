import { setLogger } from '@grpc/grpc-js';
import type { Logger } from 'pino';

/**
 * Has the gRPC library say here what it would write to standard error in a form of its own, such as that a port is taken. It has one log for
 * all servers of a process: the last to ask for it gets it. What it calls an error is told to whoever called it too, so that it is a warning here.
 */
export function takeGrpcLog(logger: Logger): void {
  const text = (words: readonly unknown[]): string => words.map(String).join(' ');
  setLogger({
    error: (...words: readonly unknown[]) => logger.warn(text(words)),
    info: (...words: readonly unknown[]) => logger.info(text(words)),
    debug: (...words: readonly unknown[]) => logger.debug(text(words)),
  });
}
