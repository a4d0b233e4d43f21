import { defineConfig } from 'vitest/config';

/**
 * In a checkout, `gpu-swarm` means the sources, not a build. `import` is not among them: Node is given these for all of the process, and
 * a library that requires another one would get that one's module for `import`, which is not what it gets anywhere else.
 */
const conditions = ['swarm-source', 'node', 'module'];

interface Suite {
  readonly name: string;
  readonly testTimeout: number;
  /** Suites that start processes or whole swarms run one file at a time: two cores are soon full. */
  readonly alone?: boolean;
}

const SUITES: readonly Suite[] = [
  { name: 'unit', testTimeout: 20_000 },
  { name: 'compliance', testTimeout: 60_000, alone: true },
  { name: 'integration', testTimeout: 60_000, alone: true },
  { name: 'conformance', testTimeout: 60_000, alone: true },
  { name: 'interop', testTimeout: 120_000, alone: true },
  { name: 'e2e', testTimeout: 180_000, alone: true },
  { name: 'chaos', testTimeout: 180_000, alone: true },
  { name: 'gpu', testTimeout: 120_000, alone: true },
];

export default defineConfig({
  test: {
    reporters: process.env['CI'] === undefined ? ['default'] : ['default', 'json'],
    outputFile: { json: 'coverage/test-results.json' },
    projects: SUITES.map(({ name, testTimeout, alone = false }, index) => ({
      resolve: { conditions },
      ssr: { resolve: { conditions } },
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout,
        hookTimeout: testTimeout,
        pool: 'forks',
        execArgv: ['--conditions=swarm-source'],
        fileParallelism: !alone,
        sequence: { groupOrder: index },
      },
    })),
  },
});
