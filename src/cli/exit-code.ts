import type { ErrorCode } from '../../protocols/errors.ts';

/** How the command ends, for scripts. docs/cli.md and `swarm --help` list the same. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unavailable: 4,
  refused: 5,
  deadline: 6,
  connection: 7,
  /** The shell's word for "ended by SIGINT". */
  interrupted: 130,
  /** The shell's word for "ended by SIGTERM". */
  terminated: 143,
} as const;

/** The lines of `--help` that say what an exit code means. */
export const EXIT_CODE_HELP = `Exit codes:
  0 done   1 failed   2 wrong usage or configuration   3 model, channel or version not found
  4 no node could take it now   5 input, model or record refused   6 deadline passed
  7 no connection   130 interrupted   143 terminated`;

const BY_ERROR: Readonly<Record<ErrorCode, number>> = {
  ERR_INVALID_INPUT: EXIT.refused,
  ERR_INVALID_MODEL: EXIT.refused,
  ERR_INVALID_RECORD: EXIT.refused,
  ERR_FORBIDDEN: EXIT.refused,
  ERR_LIMIT: EXIT.refused,
  ERR_CONFIG: EXIT.usage,
  ERR_NOT_FOUND: EXIT.notFound,
  ERR_NO_NODE: EXIT.unavailable,
  ERR_BUSY: EXIT.unavailable,
  ERR_LOADING: EXIT.unavailable,
  ERR_DEADLINE: EXIT.deadline,
  ERR_CONNECTION: EXIT.connection,
  ERR_INVALID_MESSAGE: EXIT.connection,
  ERR_CORRUPT: EXIT.failed,
  ERR_STORE: EXIT.failed,
  ERR_EXECUTION: EXIT.failed,
  ERR_DISAGREEMENT: EXIT.failed,
  ERR_INTERNAL: EXIT.failed,
};

/** The exit code that an error code of this package ends the command with. */
export function exitCodeOf(code: ErrorCode): number {
  return BY_ERROR[code] ?? EXIT.failed;
}
