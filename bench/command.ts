import { Command, InvalidArgumentError } from 'commander';

/** What a benchmark's command gets from the program around it. */
export interface BenchHost {
  /** Aborts when the program is told to end: processes are stopped and temporary files removed. */
  readonly signal: AbortSignal;
  /** Tells how far the benchmark is; standard output is for the report. */
  readonly progress: (text: string) => void;
}

/** A command with the options that every benchmark has. */
export function benchCommand(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .option('--json', 'print the report as JSON on the last line', false);
}

/** For an option that takes a number > 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError(`expected a number > 0, found '${text}'`);
}

/** For an option that takes an integer >= 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError(`expected an integer >= 1, found '${text}'`);
}

/** For an option that takes some of `choices`, separated by commas. */
export function someOf<T extends string>(choices: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((word) => {
      const found = choices.find((choice) => choice === word.trim());
      if (found !== undefined) return found;
      throw new InvalidArgumentError(`expected some of ${choices.join(', ')}, found '${word}'`);
    });
}

/** For an option that takes integers >= 1, separated by commas. */
export function positiveIntegers(text: string): number[] {
  return text.split(',').map((word) => positiveInteger(word.trim()));
}
