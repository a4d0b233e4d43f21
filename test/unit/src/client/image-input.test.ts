import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ImagePreprocessing } from '../../../../protocols/manifest/index.ts';
import {
  imageToTensor,
  MAX_IMAGE_BYTES,
  MAX_IMAGE_PIXELS,
} from '../../../../src/client/image-input.ts';
import { refusal } from '../../../support/refusal.ts';

const GRAY: ImagePreprocessing = {
  kind: 'image',
  input: 'image',
  width: 3,
  height: 2,
  channels: 'gray',
  layout: 'NCHW',
  scale: 1,
};
const RGB: ImagePreprocessing = { ...GRAY, channels: 'rgb' };

/** A picture of 3 × 2, row by row. */
const COLOURS = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [10, 20, 30],
  [255, 255, 255],
  [0, 0, 0],
] as const;

function picture(
  pixels: readonly (readonly number[])[] = COLOURS,
  width = 3,
): ReturnType<typeof sharp> {
  const channels = (pixels[0]?.length ?? 0) as 1 | 3 | 4;
  const raw = { width, height: pixels.length / width, channels };
  return sharp(Uint8Array.from(pixels.flat()), { raw });
}

async function values(
  bytes: Uint8Array | Promise<Uint8Array>,
  preprocessing: ImagePreprocessing,
): Promise<number[]> {
  return (await imageToTensor(await bytes, preprocessing)).toArray() as number[];
}

/** A PNG of which only the header is true: `width` × `height` gray pixels, none of them there. */
function pngHeader(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  const data = chunk('IDAT', deflateSync(new Uint8Array(8)));
  return Buffer.concat([signature, chunk('IHDR', header), data, chunk('IEND', Buffer.alloc(0))]);
}

describe('imageToTensor', () => {
  it('lays colours out by plane for NCHW and by pixel for NHWC, a batch of one', async () => {
    const png = await picture().png().toBuffer();
    const planes = await imageToTensor(png, RGB);
    expect(planes.datatype).toBe('FP32');
    expect(planes.shape).toEqual([1, 3, 2, 3]);
    expect(planes.toArray()).toEqual([0, 1, 2].flatMap((c) => COLOURS.map((colour) => colour[c])));
    const pixels = await imageToTensor(png, { ...RGB, layout: 'NHWC' });
    expect(pixels.shape).toEqual([1, 2, 3, 3]);
    expect(pixels.toArray()).toEqual(COLOURS.flat());
  });

  it('makes gray of colours by the luma of BT.601, and leaves gray as it is', async () => {
    // 0.299 R + 0.587 G + 0.114 B.
    expect(await values(picture().png().toBuffer(), GRAY)).toEqual([76, 150, 29, 18, 255, 0]);
    const shades = [0, 1, 100, 127, 128, 255].map((shade) => [shade]);
    const png = await picture(shades).toColourspace('b-w').png().toBuffer();
    expect(await values(png, GRAY)).toEqual([0, 1, 100, 127, 128, 255]);
    expect((await imageToTensor(png, GRAY)).shape).toEqual([1, 1, 2, 3]);
    expect((await imageToTensor(png, { ...GRAY, layout: 'NHWC' })).shape).toEqual([1, 2, 3, 1]);
  });

  it('computes (value × scale − mean) / std per channel, after inverting', async () => {
    const png = await picture([[51, 102, 204]], 1)
      .png()
      .toBuffer();
    const one: ImagePreprocessing = { ...RGB, width: 1, height: 1, scale: undefined };
    expect(await values(png, one)).toEqual([51 / 255, 102 / 255, 204 / 255].map(Math.fround));
    expect(await values(png, { ...one, invert: true })).toEqual(
      [204 / 255, 153 / 255, 51 / 255].map(Math.fround),
    );
    expect(await values(png, { ...one, mean: [0.5], std: [0.5] })).toEqual(
      [51, 102, 204].map((value) => Math.fround((value / 255 - 0.5) / 0.5)),
    );
    expect(await values(png, { ...one, scale: 1, mean: [1, 2, 4], std: [50, 10, 100] })).toEqual([
      1, 10, 2,
    ]);
  });

  it.each([
    ['mean', [1, 2]],
    ['std', [1, 2, 3]],
  ] as const)('refuses %s %j for gray', async (field, list) => {
    const png = await picture().png().toBuffer();
    await expect(imageToTensor(png, { ...GRAY, [field]: list })).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', new RegExp(`^preprocessing.${field} has ${list.length} values`)),
    );
  });

  it('puts what is transparent on white', async () => {
    const png = await picture([
      [0, 0, 0, 0],
      [0, 0, 0, 255],
      [255, 0, 0, 51],
    ])
      .png()
      .toBuffer();
    expect(await values(png, { ...RGB, height: 1, layout: 'NHWC' })).toEqual([
      255, 255, 255, 0, 0, 0, 255, 204, 204,
    ]);
  });

  it('turns the picture as its EXIF orientation says', async () => {
    // 6: to be turned by 90° clockwise.
    const png = await picture([[10], [20], [30], [40], [50], [60]])
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    expect(await values(png, { ...GRAY, width: 2, height: 3 })).toEqual([40, 10, 50, 20, 60, 30]);
  });

  it('reads palettes and 16 bits a channel as 8 bits', async () => {
    const palette = await picture().png({ palette: true, colours: 8, dither: 0 }).toBuffer();
    expect(await values(palette, GRAY)).toEqual([76, 150, 29, 18, 255, 0]);
    const deep = await picture([[0], [1], [100], [127], [128], [255]])
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect(await values(deep, GRAY)).toEqual([0, 1, 100, 127, 128, 255]);
  });

  it('reads JPEG and WebP', async () => {
    const gray = picture(
      Array.from({ length: 64 }, () => [90, 90, 90]),
      8,
    );
    const size = { ...GRAY, width: 8, height: 8 };
    const [jpeg, webp] = await Promise.all([
      gray.clone().jpeg({ quality: 100 }).toBuffer(),
      gray.clone().webp({ lossless: true }).toBuffer(),
    ]);
    expect(new Set(await values(jpeg, size))).toEqual(new Set([90]));
    expect(new Set(await values(webp, size))).toEqual(new Set([90]));
  });

  it('resizes as the manifest says: stretched, cropped or padded with black', async () => {
    const wide = await picture([[100], [200], [200], [100]], 4)
      .png()
      .toBuffer();
    const square = { ...GRAY, width: 2, height: 2, kernel: 'nearest' } as const;
    expect(await values(wide, { ...square, resize: 'cover' })).toEqual([200, 200, 200, 200]);
    const tall = { ...GRAY, width: 4, height: 3, resize: 'contain' } as const;
    const row = [100, 200, 200, 100];
    const black = [0, 0, 0, 0];
    expect(await values(wide, tall)).toEqual([...black, ...row, ...black]);
    expect(await values(wide, { ...tall, invert: true })).toEqual([
      ...black,
      ...row.map((value) => 255 - value),
      ...black,
    ]);
    const stretched = await values(wide, { ...GRAY, width: 2, height: 1 });
    expect(stretched).toEqual([expect.closeTo(150, -1.7), expect.closeTo(150, -1.7)]);
  });

  it.each([
    ['nothing', new Uint8Array(), /picture is empty, expected PNG, JPEG or WebP/],
    ['a GIF', Buffer.from('GIF89a'), /picture is GIF/],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /picture is text/],
    ['noise', Uint8Array.of(1, 2, 3), /picture is a file that begins with bytes 010203,/],
    ['a bare signature', Buffer.from('89504e470d0a1a0a', 'hex'), /begins as PNG and is damaged/],
    ['a JPEG of noise', Uint8Array.of(0xff, 0xd8, 0xff, 1, 2), /begins as JPEG and is damaged/],
  ])('refuses %s and says what it found', async (_, bytes, message) => {
    await expect(imageToTensor(bytes, GRAY)).rejects.toEqual(refusal('ERR_INVALID_INPUT', message));
  });

  it.each(['png', 'jpeg', 'webp'] as const)('refuses a %s that ends early', async (format) => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
    const whole = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .toFormat(format)
      .toBuffer();
    expect(await values(whole, GRAY)).toHaveLength(6);
    await expect(
      imageToTensor(whole.subarray(0, Math.floor(whole.length / 2)), GRAY),
    ).rejects.toEqual(refusal('ERR_INVALID_INPUT', /and is damaged, expected a whole one/));
  });

  it('refuses more bytes and more pixels than the limits by the size and the header alone', async () => {
    const file = new Uint8Array(MAX_IMAGE_BYTES + 1);
    file.set(await picture().png().toBuffer());
    expect(await values(file.subarray(0, MAX_IMAGE_BYTES), GRAY)).toHaveLength(6);
    await expect(imageToTensor(file, GRAY)).rejects.toEqual(
      refusal('ERR_LIMIT', /67108865 bytes, expected at most 67108864/),
    );
    // Within the limit the header is believed, and found out to be damaged.
    await expect(imageToTensor(pngHeader(10_000, 10_000), GRAY)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /damaged/),
    );
    await expect(imageToTensor(pngHeader(10_000, 10_001), GRAY)).rejects.toEqual(
      refusal(
        'ERR_LIMIT',
        new RegExp(`10000 × 10001 pixels, expected at most ${MAX_IMAGE_PIXELS}`),
      ),
    );
  });
});

describe('imageToTensor without sharp', () => {
  afterEach(() => {
    vi.doUnmock('sharp');
    vi.resetModules();
  });

  it('says how to install it', async () => {
    const png = await picture().png().toBuffer();
    vi.resetModules();
    vi.doMock('sharp', () => {
      throw Object.assign(new Error("Cannot find package 'sharp'"), {
        code: 'ERR_MODULE_NOT_FOUND',
      });
    });
    const { imageToTensor } = await import('../../../../src/client/image-input.ts');
    await expect(imageToTensor(png, GRAY)).rejects.toEqual(
      refusal('ERR_CONFIG', /optional package sharp.*npm install sharp/),
    );
  });
});
