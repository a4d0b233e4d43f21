import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runSim } from '../../../../../src/cli/commands/sim.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { createTestContext, events } from '../command-host.ts';

const SMALL = { nodes: '6', clients: '10', versions: '1', rate: '8', trace: 'steady', for: '20s' };

async function sim(options: Readonly<Record<string, string>>, json = false, trace?: string) {
  await using folder = await createTestFolder();
  if (trace !== undefined) await writeFile(path.join(folder.path, 'trace.txt'), trace);
  const { context, written } = await createTestContext({}, { cwd: folder.path, json });
  const code = await runSim(context, { ...SMALL, ...options });
  const plot = options['plot'];
  const page = plot === undefined ? '' : await readFile(path.join(folder.path, plot), 'utf8');
  return { code, page, ...written };
}

describe('runSim', () => {
  it('prints how a swarm fares over time, and sums it up', async () => {
    const { code, stdout, stderr } = await sim({});
    expect(code).toBe(0);
    expect(stdout).toMatch(/^second +asked +failed +desired/);
    expect(stderr).toMatch(/^simulating 20s of 6 nodes, 10 clients and 1 version; --help says/);
    expect(stderr).toMatch(/\d+ requests, 0 % failed, p99 \d+ ms, .* replicas on average/);
  });

  it('gives programs an event for each second, and the same ones for the same seed', async () => {
    const [first, second] = [await sim({ seed: '7' }, true), await sim({ seed: '7' }, true)];
    const told = events(first.stdout);
    expect(told).toHaveLength(21);
    expect(told.at(-1)).toMatchObject({ event: 'simulated', failedShare: 0 });
    expect(events(second.stdout).slice(0, -1)).toEqual(told.slice(0, -1));
  });

  it('asks for what a trace file says', async () => {
    const { stdout } = await sim({ trace: 'trace.txt' }, true, '0 0\n10 5\n');
    const asked = events(stdout).map(({ offered }) => Number(offered ?? 0));
    expect(asked.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 0));
    expect(asked.slice(10).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(20);
  });

  it('writes a page with the curves', async () => {
    const { page } = await sim({ plot: 'curves.html' });
    expect(page).toContain('<polyline');
  });

  it.each([
    [{ nodes: '0' }, /--nodes is "0", expected an integer from 1 to 10000/],
    [{ nodes: '1.5' }, /--nodes is "1.5", expected an integer from 1/],
    [{ for: '2d' }, /--for/],
    [{ lost: '2' }, /--lost/],
    [{ trace: 'nowhere.txt' }, /trace nowhere.txt does not exist/],
  ])('refuses %o', async (options, message) => {
    await expect(sim(options)).rejects.toThrow(message);
  });
});
