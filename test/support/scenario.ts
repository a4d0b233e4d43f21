import { readdirSync, readFileSync } from 'node:fs';

/** One step of a scenario: a command, what it is given, and what must come of it. */
export interface ScenarioStep {
  /** Of the command, counted from 1. */
  readonly line: number;
  readonly command: string;
  readonly input: readonly string[];
  readonly expected: string;
}

export interface Scenario {
  readonly name: string;
  readonly steps: readonly ScenarioStep[];
}

/**
 * Reads the stories of a folder of `test/scenarios`, in the form of etcd raft's testdata: a command and lines of input, `----`,
 * and the output up to an empty line. What begins with `#` is for the reader.
 */
export function readScenarios(folder: string): Scenario[] {
  const directory = new URL(`../scenarios/${folder}/`, import.meta.url);
  return readdirSync(directory)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => ({
      name: file.replace(/\.txt$/, ''),
      steps: parseSteps(readFileSync(new URL(file, directory), 'utf8')),
    }));
}

function parseSteps(text: string): ScenarioStep[] {
  const steps: ScenarioStep[] = [];
  let block: string[] = [];
  let start = 0;
  const close = (): void => {
    const divider = block.indexOf('----');
    const [command = ''] = block;
    if (block.length > 0 && divider < 1) throw new Error(`line ${start}: expected a line ----`);
    if (divider >= 1) {
      const expected = block.slice(divider + 1).join('\n');
      steps.push({ line: start, command, input: block.slice(1, divider), expected });
    }
    block = [];
  };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      close();
      continue;
    }
    if (block.length === 0) start = index + 1;
    block.push(line.trimEnd());
  }
  close();
  return steps;
}
