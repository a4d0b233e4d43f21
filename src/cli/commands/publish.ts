import path from 'node:path';
import { DeadlineError } from '../../../protocols/errors.ts';
import { parseName } from '../../../protocols/reference.ts';
import { publishVersion } from '../../client/publisher.ts';
import { packModel } from '../../model/package.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-table.ts';
import { dataFolder } from '../data-folder.ts';
import { EXIT } from '../exit-code.ts';
import { KeptReleases } from '../kept-releases.ts';
import { type CommandKey, openKey } from '../key-file.ts';
import { PublishReport } from '../publish-report.ts';
import { joinSwarm } from '../swarm-join.ts';

/** `swarm publish`: packs a model, places its replicas, signs and releases it. */
export async function runPublish(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { settings, cwd, env } = context;
  const name = parseName(String(options['name']), 'model');
  parseName(settings.channel, 'channel');
  const dataDir = path.resolve(cwd, dataFolder('publisher', settings.data, env));
  const keyFile = settings.key ?? path.join(dataDir, 'publisher.key');
  const timeout = AbortSignal.timeout(settings.timeoutMs);
  const signal = AbortSignal.any([context.signal, timeout]);
  try {
    // The model first: what is wrong with it is told before a key is made or a peer is met.
    await using version = await packModel(path.resolve(cwd, String(options['model'])), { signal });
    const publisher = await openPublisherKey(context, keyFile);
    const kept = new KeptReleases(dataDir);
    const model = { network: settings.network, publisher: publisher.id, name };
    const previous = await kept.read(model, signal);
    await using swarm = await joinSwarm(context);
    const report = new PublishReport(context.terminal);
    const result = await publishVersion(swarm.peer, version, {
      name,
      key: publisher.key,
      channel: settings.channel,
      replicas: settings.replicas,
      previous,
      onProgress: (step) => report.progress(step),
      signal,
    });
    await kept.write(model, result.record);
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

async function openPublisherKey(context: CommandContext, file: string): Promise<CommandKey> {
  const publisher = await openKey(context, file);
  if (publisher.made) {
    const { terminal } = context;
    terminal.event({ event: 'key', publisher: publisher.id, file: publisher.file });
    if (!terminal.json) {
      terminal.note(
        `made your publisher key: ${publisher.file}\nBack it up: whoever has it publishes as ${publisher.id}, and without it nobody can.`,
      );
    }
  }
  return publisher;
}
