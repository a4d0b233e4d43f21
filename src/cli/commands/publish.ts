import path from 'node:path';
import { DeadlineError } from '../../../protocols/errors.ts';
import { parseName } from '../../../protocols/reference.ts';
import { publishVersion } from '../../client/publisher.ts';
import { openPackage } from '../../model/import/package-import.ts';
import { modelNotes } from '../../model/model-notes.ts';
import { packModel } from '../../model/package.ts';
import { byteSetting } from '../byte-setting.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { counted } from '../figures.ts';
import { type ProvidedGolden, provideGolden } from '../golden-vectors.ts';
import { parseGuardOptions } from '../guard-options.ts';
import { readImportChoices } from '../import-choices.ts';
import { importLocation } from '../import-location.ts';
import { tellNotes } from '../model-notes.ts';
import { PublishReport } from '../publish-report.ts';
import { publisherFolder } from '../publisher-key.ts';
import { parseShare } from '../quantity.ts';
import { validityMs } from '../release-report.ts';
import { openModelSigner } from '../release-signer.ts';
import { joinSwarm } from '../swarm-join.ts';

/** What is told of golden vectors by where they are. */
const PLACES: Readonly<Record<ProvidedGolden['place'], (file: string) => string>> = {
  package: (file) => `in ${file}\nThey are part of the package from now on.`,
  source: (file) => `in ${file}\nThey are part of the model from now on, on any machine.`,
  folder: (file) =>
    `kept in ${file}\nThe model itself is not written to: elsewhere it is the same version only with this file in --golden-dir.`,
};

/** `swarm publish`: packs a model, places its replicas, signs and releases it. */
export async function runPublish(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { settings, cwd } = context;
  const name = parseName(String(options['name']), 'model');
  parseName(settings.channel, 'channel');
  const { weight } = options;
  const share =
    weight === undefined ? undefined : parseShare(String(weight), '--weight', [1e-6, 1]);
  const guard = parseGuardOptions(options);
  const validity = validityMs(settings);
  const uploadLimitBytes = byteSetting(context, 'uploadLimit');
  const timeout = AbortSignal.timeout(settings.timeoutMs);
  const signal = AbortSignal.any([context.signal, timeout]);
  try {
    // The model first: what is wrong with it is told before a key is made or a peer is met.
    const what = importLocation(cwd, String(options['what']));
    const staging = path.join(publisherFolder(context), 'import');
    await using imported = await openPackage(what, staging, {
      ...readImportChoices(options),
      signal,
    });
    const { location } = imported;
    tellNotes(context.terminal, imported.notes);
    const golden = await provideGolden(location, {
      wanted: options['golden'] !== false,
      keep: imported.staged ? { ...imported, folder: goldenFolder(context, options) } : undefined,
      signal,
    });
    if (golden !== undefined) tellGolden(context, golden);
    await using version = await packModel(location, { signal });
    tellNotes(context.terminal, modelNotes(version.model));
    const model = await openModelSigner(context, name, { create: true });
    await using swarm = await joinSwarm(context);
    const report = new PublishReport(context.terminal);
    const result = await publishVersion(swarm.peer, version, {
      name,
      ...model.signer,
      channel: settings.channel,
      replicas: settings.replicas,
      uploadLimitBytes,
      weight: share,
      guard,
      validityMs: validity,
      openTurn: (turnSignal) => model.openTurn('swarm publish', turnSignal),
      onProgress: (step) => report.progress(step),
      signal,
    });
    report.published(result);
    return EXIT.ok;
  } catch (error) {
    if (!timeout.aborted || context.signal.aborted) throw error;
    throw new DeadlineError(
      `publication of '${name}' was not done within ${settings.timeoutMs} ms (--timeout), nothing was released`,
      'total',
      { cause: error },
    );
  }
}

/** Keeps golden vectors of what cannot be written to. */
function goldenFolder(context: CommandContext, { goldenDir }: CommandOptions): string {
  return typeof goldenDir === 'string'
    ? path.resolve(context.cwd, goldenDir)
    : path.join(publisherFolder(context), 'golden');
}

function tellGolden(
  { terminal }: CommandContext,
  { file, cases, made, place }: ProvidedGolden,
): void {
  terminal.event({ event: 'golden', file, cases, made });
  if (terminal.json) return;
  const vectors = `${made ? 'made' : 'took'} golden vectors: ${counted(cases, 'case')}`;
  terminal.note(`${vectors} ${PLACES[place](file)}`);
}
