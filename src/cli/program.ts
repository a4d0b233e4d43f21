import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from '../../protocols/errors.ts';
import { type CommandHost, createContext } from './command-context.ts';
import type { CommandOptions, CommandSpec } from './command-spec.ts';
import { COMMANDS } from './command-table.ts';
import { type ConfigSources, resolveSettings } from './config.ts';
import { tellError } from './error-report.ts';
import { EXIT, EXIT_CODE_HELP } from './exit-code.ts';
import { packageVersion } from './package-root.ts';
import { type SettingKey, settingSpec } from './settings.ts';

/** Bytes of a configuration file: the longest sensible one has a few hundred. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Parses a command line, runs its command, tells its error; resolves with the exit code and never rejects. */
export async function runCommandLine(host: CommandHost): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(host, (code) => {
    exitCode = code;
  });
  // Before the options are parsed, only the words themselves tell in which form errors are wanted.
  const terminal = host.createTerminal(host.argv.includes('--json'));
  try {
    await program.parseAsync([...host.argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      // An operation that gave up because the command was told to end is not itself what went wrong.
      return tellError(terminal, host.signal.aborted ? host.signal.reason : error);
    }
    if (error.exitCode === 0) return EXIT.ok;
    // `swarm` and `swarm models` alone print their help, and are no command.
    if (error.code === 'commander.help') return EXIT.usage;
    return tellError(terminal, new ConfigError(error.message.replace(/^error: /, '')));
  }
}

/** The tree of commands; each loads its code when it runs, so that help and mistakes answer at once. */
export function createProgram(host: CommandHost, done: (exitCode: number) => void): Command {
  const program = new Command('swarm')
    .description('GPUs owned by many people, one inference service, no centre.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    // `swarm node` is a command itself and has others: what follows their names is theirs, not its own.
    .enablePositionalOptions()
    .addHelpText('after', `\n${EXIT_CODE_HELP}\n\nswarm <command> --help has examples.`);
  quiet(program);
  const groups = new Map<string, Command>();
  for (const spec of COMMANDS) {
    const words = spec.path.split(' ');
    const name = words.at(-1) ?? spec.path;
    const [group] = words;
    let parent = program;
    if (words.length > 1 && group !== undefined) {
      parent = groups.get(group) ?? quiet(new Command(group).description(describeGroup(group)));
      if (!groups.has(group)) program.addCommand(parent);
      groups.set(group, parent);
    }
    const command = createCommand(name, spec, host, done);
    const other = otherName(name);
    if (other !== undefined) command.alias(other);
    parent.addCommand(command);
    if (words.length === 1) groups.set(name, command.enablePositionalOptions());
  }
  return program;
}

/** What lists is `ls`, and answers to `list` too: nobody should have to remember which of the two a program has. */
function otherName(name: string): string | undefined {
  return /^(?:.+-)?ls$/.test(name) ? name.replace(/ls$/, 'list') : undefined;
}

/** A group has no code of its own: its description is what it holds. */
function describeGroup(group: string): string {
  const names = COMMANDS.filter(({ path }) => path.startsWith(`${group} `)).map(({ path }) =>
    path.slice(group.length + 1),
  );
  return `the ${group} of the swarm: ${names.join(', ')}`;
}

function createCommand(
  name: string,
  spec: CommandSpec,
  host: CommandHost,
  done: (exitCode: number) => void,
): Command {
  const command = quiet(new Command(name)).description(spec.summary);
  for (const { name: operand, about } of spec.operands ?? []) {
    command.argument(`<${operand}>`, about);
  }
  for (const { flags, about, required = false } of spec.options ?? []) {
    command.addOption(new Option(flags, about).makeOptionMandatory(required));
  }
  const options = spec.settings.map((key) => ({ key, option: settingOption(key) }));
  for (const { key, option } of options) {
    command.addOption(option);
    if (settingSpec(key).kind === 'switch') command.addOption(negationOf(key));
  }
  command
    .option('--config <file>', 'JSON file of settings (env: SWARM_CONFIG)')
    .option('--json', 'print data as JSON, one object a line')
    .addHelpText('after', `\nExamples:\n${spec.examples.map((e) => `  swarm ${e}`).join('\n')}`);
  command.action(async () => {
    const given = command.opts<Record<string, string | boolean | undefined>>();
    const flags = Object.fromEntries(
      options.map(({ key, option }) => [key, given[option.attributeName()]]),
    );
    const resolved = await resolveSettings({
      flags,
      env: host.env,
      file: await configFile(host, given['config']),
    });
    const terminal = host.createTerminal(given['json'] === true);
    const run = await spec.load();
    done(await run(createContext(host, terminal, resolved), ownOptions(spec, command)));
  });
  return command;
}

/** Errors come to us as exceptions, to be told in our form; help goes where commander sends it. */
function quiet(command: Command): Command {
  return command
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ outputError: () => undefined });
}

function settingOption(key: SettingKey): Option {
  const { flags, about, env, kind, fallback, choices } = settingSpec(key);
  const hints = [`env: ${env}`];
  if (choices !== undefined) hints.unshift(choices.join('|'));
  const shown = Array.isArray(fallback) ? fallback.join(' ') : fallback;
  if (shown !== undefined && shown !== '') hints.unshift(`default: ${String(shown)}`);
  const option = new Option(flags, `${about} (${hints.join(', ')})`);
  if (kind === 'list') {
    option.argParser((value: string, all: string[] | undefined) => [...(all ?? []), value]);
  }
  return option;
}

function negationOf(key: SettingKey): Option {
  const { flags, about } = settingSpec(key);
  return new Option(flags.replace(/^--/, '--no-'), `not: ${about}`).hideHelp();
}

/** The operands by name and the options that are no settings. */
function ownOptions(spec: CommandSpec, command: Command): CommandOptions {
  const operands = (spec.operands ?? []).map(({ name }, index) => [name, command.args[index]]);
  const given = command.opts<Record<string, string | boolean | undefined>>();
  const options = (spec.options ?? []).map(({ flags }) => {
    const name = new Option(flags).attributeName();
    return [name, given[name]];
  });
  return Object.fromEntries([...operands, ...options]) as CommandOptions;
}

async function configFile(
  host: CommandHost,
  flag: string | boolean | undefined,
): Promise<ConfigSources['file']> {
  const variable = host.env['SWARM_CONFIG'];
  const name = typeof flag === 'string' ? flag : variable;
  if (name === undefined || name === '') return undefined;
  let text: string;
  try {
    text = await readFile(path.resolve(host.cwd, name), { encoding: 'utf8', signal: host.signal });
  } catch (cause) {
    throw new ConfigError(
      `configuration file ${name} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (text.length > MAX_CONFIG_BYTES) {
    throw new ConfigError(
      `configuration file ${name} has ${text.length} characters, expected at most ${MAX_CONFIG_BYTES}`,
    );
  }
  return { name, text };
}
