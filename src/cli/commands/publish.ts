import path from 'node:path';
import { DeadlineError } from '../../../protocols/errors.ts';
import { parseName } from '../../../protocols/reference.ts';
import { publishVersion } from '../../client/publisher.ts';
import { openPackage } from '../../model/import/package-import.ts';
import { packModel } from '../../model/package.ts';
import { byteSetting } from '../byte-setting.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-table.ts';
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
    const { location, staged } = imported;
    tellNotes(context.terminal, imported.notes);
    const golden = await provideGolden(location, { wanted: options['golden'] !== false, signal });
    if (golden !== undefined) tellGolden(context, golden, staged);
    await using version = await packModel(location, { signal });
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

function tellGolden(
  { terminal }: CommandContext,
  { file, cases }: ProvidedGolden,
  staged: boolean,
): void {
  terminal.event({ event: 'golden', file, cases });
  if (terminal.json) return;
  const made = `made golden vectors: ${counted(cases, 'case')}`;
  terminal.note(
    staged
      ? `${made}, of this version alone\nTo keep them, and with them the version, import the model first: swarm models import`
      : `${made} in ${file}\nThey are part of the package from now on.`,
  );
}
