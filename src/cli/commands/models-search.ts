import { InvalidInputError } from '../../../protocols/errors.ts';
import type { CatalogSearch, FoundModel } from '../../client/catalog-search.ts';
import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import { printable, shortId } from '../printable.ts';
import { resolvePublisher } from '../publisher-names.ts';
import { joinSwarm } from '../swarm-join.ts';
import { channelsOf } from '../swarm-survey.ts';
import { printTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** True when `swarm models ls` was asked for some of the models. */
export function isSearch({ search, task, label, publisher }: CommandOptions): boolean {
  return [search, task, label, publisher].some((option) => option !== undefined);
}

/** `swarm models ls` with a filter: released models from the catalogs of peers, by what their manifests say of them. */
export async function runModelsSearch(
  context: CommandContext,
  options: CommandOptions,
): Promise<number> {
  const { terminal, signal } = context;
  const search = await parseSearch(context, options);
  await using swarm = await joinSwarm(context);
  const { models, incomplete } = await swarm.client.searchModels(search, { signal });
  for (const model of models) terminal.event(foundEvent(model));
  printFound(terminal, models);
  if (models.length === 0) terminal.note('no released model that a peer knows of matches');
  if (incomplete) terminal.note('peers know more than they told: search for less at once');
  return EXIT.ok;
}

async function parseSearch(
  context: CommandContext,
  { search, task, label, publisher }: CommandOptions,
): Promise<CatalogSearch> {
  return {
    ...(search === undefined ? {} : { text: String(search) }),
    ...(task === undefined ? {} : { task: String(task) }),
    ...(label === undefined ? {} : { labels: parseLabels(String(label)) }),
    ...(publisher === undefined
      ? {}
      : { publisher: await resolvePublisher(context, String(publisher)) }),
  };
}

/** `key=value`, several with commas between them. */
function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    if (equals < 1) {
      throw new InvalidInputError(
        `--label has ${JSON.stringify(part.slice(0, 80))}, expected key=value`,
      );
    }
    labels[part.slice(0, equals)] = part.slice(equals + 1);
  }
  return labels;
}

function foundEvent({ publisher, name, cid, record, metadata, verified }: FoundModel) {
  return {
    event: 'found',
    publisher,
    name,
    version: cid,
    channels: channelsOf(record, cid) ?? [],
    sequence: record.sequence,
    metadata,
    verified,
  };
}

/** A table for each publisher, as `models ls` prints it. */
function printFound(terminal: Terminal, models: readonly FoundModel[]): void {
  for (const publisher of new Set(models.map((model) => model.publisher))) {
    terminal.print(`${terminal.style('dim', 'publisher')} ${terminal.style('strong', publisher)}`);
    const rows = models
      .filter((model) => model.publisher === publisher)
      .map(({ name, cid, record, metadata, verified }) => [
        printable(name, 64),
        channelsOf(record, cid)
          ?.map((channel) => printable(channel, 64))
          .join(' ') || '-',
        shortId(cid),
        printable(metadata?.task ?? '-', 64),
        printable(metadata?.licence ?? '-', 32),
        `${printable(metadata?.description ?? '-', 60)}${verified ? '' : ' (unchecked)'}`,
      ]);
    printTable(terminal, ['MODEL', 'CHANNEL', 'VERSION', 'TASK', 'LICENCE', 'DESCRIPTION'], rows, {
      indent: 2,
    });
  }
}
