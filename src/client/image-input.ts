import type sharpPackage from 'sharp';
import type { Sharp } from 'sharp';
import {
  ConfigError,
  DeadlineError,
  InvalidInputError,
  InvalidModelError,
  LimitError,
} from '../../protocols/errors.ts';
import {
  type Preprocessing,
  type ResolvedImagePreprocessing,
  resolvePreprocessing,
} from '../../protocols/manifest/index.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { sniffFormat } from './image-format.ts';

/** Bytes of a picture file: a photo has 10 MiB, a lossless one of the largest cameras less than this. */
export const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

/** Pixels of a picture: a file of some KiB can claim a thousand times more than memory holds. */
export const MAX_IMAGE_PIXELS = 100_000_000;

/** Seconds that decoding and resizing may take; the largest picture takes about one. */
const DECODE_TIMEOUT_SECONDS = 20;

/** The decoder always gives red, green and blue; gray is made of them here. */
const DECODED_CHANNELS = 3;

const WHITE = { r: 255, g: 255, b: 255 };
const BLACK = { r: 0, g: 0, b: 0 };

/**
 * Decodes a PNG, JPEG or WebP picture and makes the model's input of it: FP32, `[1, channels, height, width]` for NCHW,
 * `[1, height, width, channels]` for NHWC.
 *
 * The picture is turned as its EXIF orientation says, what is transparent becomes white, and colours become 8-bit sRGB. Gray is
 * luma as ITU-R BT.601 weighs it, which is what the usual training libraries do. Of an animation the first frame counts. Needs
 * the optional package `sharp`, which is loaded by the first call.
 *
 * @throws {ERR_INVALID_INPUT} when the bytes are no such picture or are damaged; says what was found.
 * @throws {ERR_LIMIT} when the file exceeds {@link MAX_IMAGE_BYTES} or the picture {@link MAX_IMAGE_PIXELS}.
 * @throws {ERR_INVALID_MODEL} when the preprocessing contradicts itself. {ERR_CONFIG} when `sharp` is not installed.
 * @throws {ERR_DEADLINE} when decoding takes longer than 20 s.
 */
export async function imageToTensor(
  bytes: Uint8Array,
  preprocessing: Preprocessing,
): Promise<Tensor> {
  const wanted = resolvePreprocessing(preprocessing);
  const channels = wanted.channels === 'gray' ? 1 : 3;
  const means = perChannel('mean', wanted.mean, channels);
  const deviations = perChannel('std', wanted.std, channels);
  checkFile(bytes);
  const rgb = await decode(bytes, wanted);
  const pixels = channels === 1 ? toGray(rgb) : rgb;

  const { width, height, layout, scale, invert } = wanted;
  const area = width * height;
  const values = new Float32Array(area * channels);
  for (let pixel = 0; pixel < area; pixel += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      const found = pixels[pixel * channels + channel] ?? 0;
      const value = (invert ? 255 - found : found) * scale - (means[channel] ?? 0);
      const at = layout === 'NCHW' ? channel * area + pixel : pixel * channels + channel;
      values[at] = value / (deviations[channel] ?? 1);
    }
  }
  const shape = layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels];
  return Tensor.from('FP32', shape, values);
}

function checkFile(bytes: Uint8Array): void {
  if (bytes.byteLength > MAX_IMAGE_BYTES) {
    throw new LimitError(
      `picture has ${bytes.byteLength} bytes, expected at most ${MAX_IMAGE_BYTES}`,
    );
  }
  // The decoder knows more formats, some of which (SVG, PDF) are programs: only these three reach it.
  const { format, supported } = sniffFormat(bytes);
  if (!supported) {
    throw new InvalidInputError(`picture is ${format}, expected PNG, JPEG or WebP`);
  }
}

/** 8-bit RGB of the wanted size, row by row. */
async function decode(bytes: Uint8Array, wanted: ResolvedImagePreprocessing): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const { width, height, resize, kernel, invert } = wanted;
  try {
    const picture = sharp(bytes, { failOn: 'error', limitInputPixels: false });
    await checkPixels(picture);
    const { data, info } = await picture
      .timeout({ seconds: DECODE_TIMEOUT_SECONDS })
      .autoOrient()
      .flatten({ background: WHITE })
      // Inverting comes later but counts as first, so that padding has to be white to end up black.
      .resize(width, height, { fit: resize, kernel, background: invert ? WHITE : BLACK })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const size = width * height * DECODED_CHANNELS;
    if (info.channels === DECODED_CHANNELS && data.byteLength === size) return data;
    throw new InvalidInputError(
      `picture decodes to ${info.width} × ${info.height} × ${info.channels} values, expected ${width} × ${height} × ${DECODED_CHANNELS}`,
    );
  } catch (cause) {
    if (cause instanceof LimitError || cause instanceof InvalidInputError) throw cause;
    throw explainDecodeError(bytes, cause);
  }
}

async function checkPixels(picture: Sharp): Promise<void> {
  // Reads the header alone.
  const { width, height } = await picture.metadata();
  if (width * height <= MAX_IMAGE_PIXELS) return;
  throw new LimitError(
    `picture has ${width} × ${height} pixels, expected at most ${MAX_IMAGE_PIXELS} in all`,
  );
}

function explainDecodeError(bytes: Uint8Array, cause: unknown): Error {
  const [said = ''] = String(cause instanceof Error ? cause.message : cause).split('\n');
  if (said.startsWith('timeout')) {
    return new DeadlineError(
      `picture was not decoded within ${DECODE_TIMEOUT_SECONDS} s`,
      'execute',
      { cause },
    );
  }
  return new InvalidInputError(
    `picture begins as ${sniffFormat(bytes).format} and is damaged, expected a whole one of ${bytes.byteLength} bytes: ${said.slice(0, 200)}`,
    { cause },
  );
}

async function loadSharp(): Promise<typeof sharpPackage> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new ConfigError(
      'pictures need the optional package sharp, which is not installed here or not for this system: run npm install sharp',
      { cause },
    );
  }
}

/** Luma in 16-bit fixed point; equal red, green and blue stay what they are. */
function toGray(rgb: Uint8Array): Uint8Array {
  const gray = new Uint8Array(rgb.length / DECODED_CHANNELS);
  for (let pixel = 0; pixel < gray.length; pixel += 1) {
    const at = pixel * DECODED_CHANNELS;
    const [red = 0, green = 0, blue = 0] = [rgb[at], rgb[at + 1], rgb[at + 2]];
    gray[pixel] = (red * 19_595 + green * 38_470 + blue * 7471 + 0x8000) >> 16;
  }
  return gray;
}

/** One value for each channel. */
function perChannel(
  field: 'mean' | 'std',
  values: readonly number[],
  channels: number,
): readonly number[] {
  if (values.length === channels) return values;
  const [only] = values;
  if (values.length === 1 && only !== undefined)
    return Array.from({ length: channels }, () => only);
  throw new InvalidModelError(
    `preprocessing.${field} has ${values.length} values, expected 1 or one for each of ${channels} channels`,
  );
}
