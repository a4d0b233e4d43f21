import { classLabelsSchema } from '../../../protocols/manifest/index.ts';
import { quoted } from '../../../protocols/quoted.ts';
import type { OnnxGraph } from '../onnx-graph.ts';
import type { PackageSettings } from '../package-file.ts';
import { readFrontMatter } from './front-matter.ts';
import { mapHubPicture } from './hub-picture.ts';
import type { HubSnapshot } from './hub-snapshot.ts';

/** The texts of a snapshot that say something of the model; undefined where there is none. */
export interface HubTexts {
  readonly config: string | undefined;
  readonly preprocessor: string | undefined;
  readonly card: string | undefined;
}

/** Maps what a hub repository says of its model to our settings, with notes of what could not be. Pure. */
export function mapHubTexts(
  texts: HubTexts,
  graph: OnnxGraph,
  { repository, revision }: Pick<HubSnapshot, 'repository' | 'revision'>,
): { readonly settings: PackageSettings; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const settings: PackageSettings = {};
  const labels = mapLabels(parseObject(texts.config, 'config.json', notes), graph, notes);
  if (labels !== undefined) Object.assign(settings, labels);
  const preprocessor = parseObject(texts.preprocessor, 'preprocessor_config.json', notes);
  if (preprocessor !== undefined) {
    const { preprocessing, why } = mapHubPicture(preprocessor, graph);
    if (preprocessing !== undefined) Object.assign(settings, { preprocessing });
    else notes.push(`preprocessor_config.json was not mapped: ${why}`);
  }
  const metadata = {
    ...mapCard(texts.card, notes),
    ...(repository === null ? {} : { source: `hf:${repository}@${revision ?? 'main'}` }),
  };
  if (Object.keys(metadata).length > 0) settings.metadata = metadata;
  return { settings, notes };
}

function mapLabels(
  config: Readonly<Record<string, unknown>> | undefined,
  graph: OnnxGraph,
  notes: string[],
): Pick<PackageSettings, 'classLabels' | 'answer'> | undefined {
  const id2label = config?.['id2label'];
  if (typeof id2label !== 'object' || id2label === null) return undefined;
  const entries = Object.entries(id2label);
  if (entries.length === 0) return undefined;
  const classLabels = entries.map(
    (_, index) => (id2label as Record<string, unknown>)[String(index)],
  );
  const parsed = classLabelsSchema.safeParse(classLabels);
  const left = (why: string): undefined => {
    notes.push(`id2label of config.json was not mapped: ${why}`);
  };
  if (!parsed.success) return left(`expected a text for each of 0 to ${entries.length - 1}`);
  const floats = graph.outputs.flatMap((output) =>
    output.kind === 'tensor' && output.datatype.startsWith('FP') ? [output] : [],
  );
  const output =
    floats.find(({ name }) => name === 'logits') ?? (floats.length === 1 ? floats[0] : undefined);
  if (output === undefined)
    return left(`none of the model's outputs is 'logits', nor is there but one`);
  const classes = output.shape.at(-1);
  if (typeof classes === 'number' && classes !== entries.length) {
    return left(
      `it has ${entries.length} labels, output ${quoted(output.name)} has ${classes} classes`,
    );
  }
  return { classLabels: parsed.data, answer: { kind: 'argmax', output: output.name } };
}

function mapCard(
  card: string | undefined,
  notes: string[],
): NonNullable<PackageSettings['metadata']> {
  if (card === undefined) return {};
  const matter = readFrontMatter(card);
  const licence =
    matter.get('license') === 'other'
      ? (matter.get('license_name') ?? 'other')
      : matter.get('license');
  const task = matter.get('pipeline_tag');
  if (licence === undefined)
    notes.push("README.md says no licence by a simple 'license:' in its front matter");
  return {
    modelCard: 'README.md',
    ...(licence === undefined ? {} : { licence }),
    ...(task === undefined ? {} : { task }),
  };
}

function parseObject(
  text: string | undefined,
  file: string,
  notes: string[],
): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    notes.push(`${file} was not mapped: expected a JSON object`);
  } catch {
    // The model runs without it; the note is enough.
    notes.push(`${file} was not mapped: it is not JSON`);
  }
  return undefined;
}
