import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatReport } from '../load/load-report.ts';
import { runLoad } from '../load/load-run.ts';

/** The same seed draws the same calls and disturbances; where they meet depends on the machine. */
const SEED = Number(process.env['SWARM_CHAOS_SEED'] ?? randomInt(1, 2 ** 31));

const DURATION_MS = 30_000;

const CALLERS = 64;

describe.skipIf(process.platform !== 'linux')(
  `Two clients of nodes that die, freeze and come back (needs /proc; SWARM_CHAOS_SEED=${SEED} repeats it)`,
  () => {
    it('get no wrong answer, and none fails while a node is well', async ({ signal }) => {
      const report = await runLoad({
        ...{ durationMs: DURATION_MS, seed: SEED, callsPerSecond: 60 },
        ...{ signal, progress: () => {} },
      });
      expect(report.faults, formatReport(report)).toEqual([]);
      expect(report.answered).toBeGreaterThan(500);
      expect(Object.values(report.disturbed).reduce((sum, count) => sum + count)).toBeGreaterThan(
        0,
      );
    });

    it('get no wrong answer through a gateway either, 64 at once', async ({ signal }) => {
      const report = await runLoad({
        ...{ durationMs: DURATION_MS, seed: SEED, callsPerSecond: 0, gatewayCallers: CALLERS },
        ...{ signal, progress: () => {} },
      });
      expect(report.faults, formatReport(report)).toEqual([]);
      expect(report.answered).toBeGreaterThan(500);
    });
  },
);
