import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { LoadOptions, ModelFiles } from '../../../../node/backend/backend.ts';
import { checkHost, loadVersion } from '../../../../node/replica/version-load.ts';
import { InvalidModelError } from '../../../../protocols/errors.ts';
import type { Manifest } from '../../../../protocols/manifest/index.ts';
import { echoModel } from '../../../support/echo-model.ts';
import { FakeBackend, type FakeModel } from '../../../support/fake-backend.ts';
import { bareManifest, createModelFolder } from '../../../support/model-folder.ts';
import { refusal } from '../../../support/refusal.ts';

const OPTIONS = {
  signal: new AbortController().signal,
  logger: pino({ level: 'silent' }),
  memoryBytes: 1_000,
};

const vectors = (expected: number) =>
  JSON.stringify({
    cases: [
      {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }],
        outputs: [{ name: 'x-out', datatype: 'FP32', shape: [2], data: [1, expected] }],
      },
    ],
  });

/** A backend with several providers, on some of which no model loads; it notes what was asked of it. */
class HostBackend extends FakeBackend {
  readonly loads: LoadOptions[] = [];
  readonly models: FakeModel[] = [];
  readonly #works: readonly string[];
  readonly #broken: readonly string[];

  constructor(works: readonly string[], broken: readonly string[] = []) {
    super();
    this.#works = works;
    this.#broken = broken;
  }

  override async providers(): Promise<readonly string[]> {
    return this.#works;
  }

  override async load(files: ModelFiles, options: LoadOptions = {}): Promise<FakeModel> {
    this.loads.push(options);
    const [provider] = options.providers ?? [];
    if (provider !== undefined && this.#broken.includes(provider)) {
      throw new InvalidModelError(`no kernel on ${provider}`);
    }
    const model = await super.load(files, options);
    this.models.push(model);
    return model;
  }

  get tried(): readonly unknown[] {
    return this.loads.map(({ providers }) => providers?.join());
  }
}

async function echoVersion(changes: Partial<Manifest>, golden?: string) {
  const folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: ['n'] } }));
  const { cid, directory } = folder.files;
  if (golden !== undefined) await writeFile(path.join(directory, 'golden.json'), golden);
  const manifest = bareManifest(folder.files, {
    golden: golden === undefined ? undefined : { file: 'golden.json' },
    ...changes,
  });
  return {
    version: { cid, directory, manifest },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('checkHost', () => {
  it('refuses what the host lacks before any file is there', async () => {
    await using gpu = await echoVersion({ deployment: { providers: ['cuda'] } });
    await expect(checkHost(new HostBackend(['cpu']), gpu.version.manifest)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', 'version runs on cuda only, this node has cpu'),
    );
    await using large = await echoVersion({ deployment: { memoryBytes: 2 ** 50 } });
    await expect(checkHost(new HostBackend(['cpu']), large.version.manifest)).rejects.toEqual(
      refusal(
        'ERR_LIMIT',
        /^version needs 1125899906842624 bytes of memory, this node has \d+ in all$/,
      ),
    );
  });

  it('does not wait for the trial of providers when the version names none', async () => {
    await using made = await echoVersion({ deployment: { memoryBytes: 1 } });
    const backend = new HostBackend(['cpu']);
    backend.providers = () => Promise.reject(new Error('asked'));
    await checkHost(backend, made.version.manifest);
    await using named = await echoVersion({ deployment: { providers: ['cpu'] } });
    await expect(checkHost(backend, named.version.manifest)).rejects.toThrow('asked');
  });
});

describe('loadVersion', () => {
  it("loads once, on the host's best provider, a version that says nothing", async () => {
    await using made = await echoVersion({});
    const backend = new HostBackend(['cuda', 'cpu']);
    const model = await loadVersion(backend, made.version, OPTIONS);
    expect(model.state).toBe('ready');
    expect(backend.tried).toEqual(['cuda']);
  });

  it("keeps to the version's providers and their order, passing over those the host lacks", async () => {
    await using made = await echoVersion({ deployment: { providers: ['dml', 'cpu', 'cuda'] } });
    const backend = new HostBackend(['cuda', 'webgpu', 'cpu'], ['cpu']);
    await loadVersion(backend, made.version, OPTIONS);
    expect(backend.tried).toEqual(['cpu', 'cuda']);
  });

  it('refuses a version none of whose providers the host has, saying both', async () => {
    await using made = await echoVersion({ deployment: { providers: ['cuda', 'dml'] } });
    await expect(
      loadVersion(new HostBackend(['webgpu', 'cpu']), made.version, OPTIONS),
    ).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', 'version runs on cuda, dml only, this node has webgpu, cpu'),
    );
  });

  it('refuses a version that needs more memory than the host has, and takes one that needs all of it', async () => {
    await using fits = await echoVersion({ deployment: { memoryBytes: 1_000 } });
    await loadVersion(new HostBackend(['cpu']), fits.version, OPTIONS);
    await using large = await echoVersion({ deployment: { memoryBytes: 1_001 } });
    const backend = new HostBackend(['cpu']);
    await expect(loadVersion(backend, large.version, OPTIONS)).rejects.toEqual(
      refusal('ERR_LIMIT', 'version needs 1001 bytes of memory, this node has 1000 in all'),
    );
    expect(backend.loads).toEqual([]);
  });

  it("hands the version's session options on, to check and to serve alike", async () => {
    const session = { graphOptimizationLevel: 'basic', intraOpThreads: 2 } as const;
    await using made = await echoVersion({ deployment: { session } }, vectors(2));
    const backend = new HostBackend(['cpu']);
    await loadVersion(backend, made.version, OPTIONS);
    expect(backend.loads.map((load) => load.session)).toEqual([session, session]);
  });

  it('checks golden vectors on a model that is gone before the serving one loads', async () => {
    await using made = await echoVersion({}, vectors(2));
    const backend = new HostBackend(['cuda', 'cpu']);
    const serving = await loadVersion(backend, made.version, OPTIONS);
    expect(backend.tried).toEqual(['cuda', 'cuda']);
    expect(backend.models.map(({ state }) => state)).toEqual(['unloaded', 'ready']);
    expect(backend.models[1]).toBe(serving);
  });

  it('allows for a derived form on the CPU of a version with golden vectors, and of no other', async () => {
    await using checked = await echoVersion({}, vectors(2));
    await using unchecked = await echoVersion({});
    for (const [made, provider, derived] of [
      [checked, 'cpu', [true, true]],
      [checked, 'cuda', [false, false]],
      [unchecked, 'cpu', [false]],
    ] as const) {
      const backend = new HostBackend([provider]);
      await loadVersion(backend, made.version, OPTIONS);
      expect(backend.loads.map((load) => load.derived)).toEqual(derived);
    }
  });

  it('gives a derived form up whose golden vectors come out wrong, when they come out right on the files', async () => {
    await using made = await echoVersion({}, vectors(2));
    await using strange = await createModelFolder(
      echoModel({ y: { datatype: 'FP32', shape: [] } }),
    );
    const refused: string[] = [];
    class DerivingBackend extends HostBackend {
      override async load(files: ModelFiles, options: LoadOptions = {}): Promise<FakeModel> {
        const wrong = options.derived === true && refused.length === 0;
        return super.load(wrong ? strange.files : files, options);
      }

      async refuseDerived(cid: string, reason: string): Promise<boolean> {
        return refused.push(`${cid}: ${reason}`) > 0;
      }
    }
    const backend = new DerivingBackend(['cpu']);
    const model = await loadVersion(backend, made.version, OPTIONS);
    expect(model.state).toBe('ready');
    expect(refused).toEqual([expect.stringContaining(`${made.version.cid}: golden vector 0`)]);
    expect(backend.loads.map((load) => load.derived)).toEqual([true, true, true]);
    expect(backend.models.map(({ state }) => state)).toEqual(['unloaded', 'unloaded', 'ready']);
  });

  it('refuses a version whose golden vectors come out wrong on every provider, and serves nothing', async () => {
    await using made = await echoVersion({}, vectors(3));
    const backend = new HostBackend(['cuda', 'cpu']);
    await expect(loadVersion(backend, made.version, OPTIONS)).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message:
        "golden vector 0 of golden.json on cuda: element 1 of output 'x-out' is 2, expected 3 within 0.001 absolute and 0.01 relative",
      details: {
        file: 'golden.json',
        case: 0,
        output: 'x-out',
        element: 1,
        expected: '3',
        found: '2',
        tolerance: { absolute: 0.001, relative: 0.01 },
      },
    });
    expect(backend.tried).toEqual(['cuda', 'cpu']);
    expect(backend.models.map(({ state }) => state)).toEqual(['unloaded', 'unloaded']);
  });

  it("compares within the version's tolerance", async () => {
    await using made = await echoVersion({ tolerance: { absolute: 1, relative: 0 } }, vectors(3));
    const model = await loadVersion(new HostBackend(['cpu']), made.version, OPTIONS);
    expect(model.state).toBe('ready');
  });

  it('gives up with the reason of its signal', async () => {
    await using made = await echoVersion({}, vectors(2));
    const signal = AbortSignal.abort(new Error('the node stops'));
    const loading = loadVersion(new HostBackend(['cpu']), made.version, { ...OPTIONS, signal });
    await expect(loading).rejects.toThrow('the node stops');
  });
});
