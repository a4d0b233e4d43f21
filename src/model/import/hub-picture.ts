import type { Preprocessing } from '../../../protocols/manifest/index.ts';
import type { OnnxGraph, TensorValue } from '../onnx-graph.ts';

/** Pillow's numbers of resampling kernels. */
const KERNELS: Readonly<Record<number, Preprocessing['kernel']>> = {
  0: 'nearest',
  1: 'lanczos3',
  2: 'linear',
  3: 'cubic',
};

/** Steps of image processors that ours has not. */
const OTHER_STEPS = [
  'do_pad',
  'do_thumbnail',
  'do_align_long_axis',
  'do_flip_channel_order',
  'do_reduce_labels',
  'crop_pct',
];

/** The mapped preprocessing, or why there is none. */
export type HubPicture =
  | { readonly preprocessing: Preprocessing; readonly why?: undefined }
  | { readonly preprocessing?: undefined; readonly why: string };

/**
 * Maps a `preprocessor_config.json` of pictures, when it says every step and ours can do them all: a resize to a fixed size or
 * to the short side with a crop as large, a scale, mean and deviation of each channel.
 */
export function mapHubPicture(
  config: Readonly<Record<string, unknown>>,
  graph: OnnxGraph,
): HubPicture {
  const input = pictureInput(graph);
  if (input === undefined)
    return { why: 'the model has no input of a picture, [batch, channels, height, width]' };
  const other = OTHER_STEPS.find(
    (step) => config[step] !== undefined && config[step] !== null && config[step] !== false,
  );
  if (other !== undefined) return { why: `${other} has no counterpart here` };
  const size = readSize(config);
  if (typeof size === 'string') return { why: size };
  const resample = config['resample'];
  const kernel = typeof resample === 'number' ? KERNELS[resample] : undefined;
  if (kernel === undefined) return { why: `resample is ${shown(resample)}, expected 0, 1, 2 or 3` };
  const scale = readScale(config);
  if (typeof scale === 'string') return { why: scale };
  const normalised = readNormalisation(config);
  if (typeof normalised === 'string') return { why: normalised };
  const declared = input.shape[1];
  const count = typeof declared === 'number' ? declared : (normalised.mean?.length ?? 3);
  if (count !== 1 && count !== 3)
    return { why: `pictures have 1 or 3 channels, the model takes ${count}` };
  if (normalised.mean !== undefined && normalised.mean.length !== count) {
    return {
      why: `image_mean has ${normalised.mean.length} values, the model takes ${count} channels`,
    };
  }
  for (const [axis, expected] of [
    [2, size.height],
    [3, size.width],
  ] as const) {
    const fixed = input.shape[axis];
    if (typeof fixed === 'number' && fixed !== expected) {
      return {
        why: `its pictures are ${size.width} × ${size.height}, the model takes ${shown(input.shape)}`,
      };
    }
  }
  const channels = count === 1 ? 'gray' : 'rgb';
  return {
    preprocessing: {
      kind: 'image',
      input: input.name,
      ...size,
      channels,
      layout: 'NCHW',
      kernel,
      scale,
      ...normalised,
    },
  };
}

function pictureInput(graph: OnnxGraph): TensorValue | undefined {
  const pictures = graph.inputs.filter(
    (input): input is TensorValue => input.kind === 'tensor' && input.shape.length === 4,
  );
  return (
    pictures.find(({ name }) => name === 'pixel_values') ??
    (pictures.length === 1 ? pictures[0] : undefined)
  );
}

function readSize(
  config: Readonly<Record<string, unknown>>,
): Required<Pick<Preprocessing, 'width' | 'height' | 'resize'>> | string {
  if (config['do_resize'] !== true)
    return `do_resize is ${shown(config['do_resize'])}, expected true`;
  const size = sides(config['size']);
  const crop = config['do_center_crop'] === true ? sides(config['crop_size']) : undefined;
  if (size?.height !== undefined && size.width !== undefined) {
    const fits = crop === undefined || (crop.height === size.height && crop.width === size.width);
    if (config['do_center_crop'] === true && !fits)
      return 'it crops to another size than it resizes to';
    return { width: size.width, height: size.height, resize: 'fill' };
  }
  const short = size?.shortest;
  if (short === undefined)
    return `size is ${shown(config['size'])}, expected height and width, or shortest_edge`;
  if (crop?.height !== short || crop.width !== short) {
    return `it resizes the short side to ${short} and does not crop to the same, found crop_size ${shown(config['crop_size'])}`;
  }
  return { width: short, height: short, resize: 'cover' };
}

function sides(value: unknown): { height?: number; width?: number; shortest?: number } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { height, width, shortest_edge: shortest, ...others } = value as Record<string, unknown>;
  if (Object.keys(others).length > 0) return undefined;
  return {
    ...(typeof height === 'number' ? { height } : {}),
    ...(typeof width === 'number' ? { width } : {}),
    ...(typeof shortest === 'number' ? { shortest } : {}),
  };
}

function readScale(config: Readonly<Record<string, unknown>>): number | string {
  const { do_rescale: rescale, rescale_factor: factor } = config;
  if (rescale === false) return 1;
  // Configurations from before there was such a step scaled all the same.
  if (rescale === undefined && factor === undefined) return 1 / 255;
  if (rescale === true && typeof factor === 'number') return factor;
  return `do_rescale is ${shown(rescale)} with rescale_factor ${shown(factor)}, expected true and a number`;
}

function readNormalisation(
  config: Readonly<Record<string, unknown>>,
): { mean?: number[]; std?: number[] } | string {
  const { do_normalize: normalise, image_mean: mean, image_std: std } = config;
  if (normalise === false) return {};
  if (normalise !== true) return `do_normalize is ${shown(normalise)}, expected true or false`;
  if (isNumbers(mean) && isNumbers(std) && mean.length === std.length && !std.includes(0)) {
    return { mean, std };
  }
  return `image_mean is ${shown(mean)} and image_std ${shown(std)}, expected as many numbers`;
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 80);
}
