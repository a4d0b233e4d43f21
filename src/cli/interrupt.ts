import { EXIT } from './exit-code.ts';

/** The signals that end a command; SIGPIPE stands for an output that takes no more. */
export type InterruptSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGPIPE';

/** Why a command was told to end: the reason that its abort signal carries. */
export class Interrupted extends Error {
  readonly signal: InterruptSignal | 'parent';

  constructor(signal: InterruptSignal | 'parent') {
    super(signal === 'parent' ? 'the parent process ended' : `interrupted by ${signal}`);
    this.name = 'Interrupted';
    this.signal = signal;
  }

  get exitCode(): number {
    return this.signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
  }
}

/** True when the system told the command to end, as a service manager does, rather than a person at a terminal. */
export function isTerminated({ reason }: AbortSignal): boolean {
  return reason instanceof Interrupted && reason.signal === 'SIGTERM';
}
