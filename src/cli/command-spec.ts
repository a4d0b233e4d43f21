import type { RunCommand } from './command-context.ts';
import type { SettingKey } from './settings.ts';

/** A command of `swarm`, as help and the parser know it; its code is loaded when it runs. */
export interface CommandSpec {
  /** Words after `swarm`: `infer`, `models ls`. */
  readonly path: string;
  readonly summary: string;
  /** Positional arguments as help shows them, each required: `<ref>`. */
  readonly operands?: readonly OperandSpec[];
  /** What this command reads of the settings. */
  readonly settings: readonly SettingKey[];
  /** Options that are of the call, not of the configuration. */
  readonly options?: readonly OptionSpec[];
  /** Command lines to copy, without the leading `swarm`. */
  readonly examples: readonly string[];
  load(): Promise<RunCommand<CommandOptions>>;
}

export interface OperandSpec {
  readonly name: string;
  readonly about: string;
}

export interface OptionSpec {
  readonly flags: string;
  readonly about: string;
  readonly required?: boolean;
}

/** Operands and options by their names in camel case: text, or true for a flag without a value. */
export type CommandOptions = Readonly<Record<string, string | boolean | undefined>>;
