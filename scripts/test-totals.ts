/**
 * Adds up what vitest's JSON reports say: prints `passed failed` on standard output, and each failure once more on standard
 * error, where whoever reads the end of a long log finds it.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Characters of one failure's message: a diff of tensors fills pages. */
const MAX_MESSAGE = 2_000;

/** What is read of vitest's report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

let [passed, failed] = [0, 0];
for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const cases = assertionResults.filter((one) => one.status === 'failed');
    for (const { fullName, failureMessages } of cases) {
      tell(name, fullName, failureMessages?.join('\n') ?? '');
    }
    // A file that could not be run at all has no case that failed.
    if (status === 'failed' && cases.length === 0) {
      failed += 1;
      tell(name, 'the file', message);
    }
  }
}
console.log(`${passed} ${failed}`);

function tell(file: string, title: string, message: string): void {
  console.error(
    `== failed: ${path.relative('', file)}: ${title}\n${message.slice(0, MAX_MESSAGE)}`,
  );
}
