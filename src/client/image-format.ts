/** What a picture file is, by the bytes it begins with. */
export interface ImageFormat {
  /** A name for people; of an unknown one its first bytes. */
  readonly format: string;
  /** True for PNG, JPEG and WebP. */
  readonly supported: boolean;
}

interface Signature extends ImageFormat {
  /** Bytes in hexadecimal, `..` for any. */
  readonly pattern: string;
}

const SIGNATURES: readonly Signature[] = [
  { format: 'PNG', supported: true, pattern: '89504e470d0a1a0a' },
  { format: 'JPEG', supported: true, pattern: 'ffd8ff' },
  { format: 'WebP', supported: true, pattern: '52494646........57454250' },
  { format: 'GIF', supported: false, pattern: '47494638' },
  { format: 'BMP', supported: false, pattern: '424d' },
  { format: 'TIFF', supported: false, pattern: '49492a00' },
  { format: 'TIFF', supported: false, pattern: '4d4d002a' },
  { format: 'AVIF or HEIC', supported: false, pattern: '........66747970' },
  { format: 'PDF', supported: false, pattern: '25504446' },
  { format: 'text that begins with <, SVG perhaps,', supported: false, pattern: '3c' },
];

/** Bytes shown of a file that is nothing known. */
const SHOWN_BYTES = 8;

export function sniffFormat(bytes: Uint8Array): ImageFormat {
  if (bytes.byteLength === 0) return { format: 'empty', supported: false };
  const head = Buffer.from(bytes.subarray(0, 16)).toString('hex');
  const known = SIGNATURES.find(({ pattern }) =>
    Array.from({ length: pattern.length / 2 }, (_, i) => pattern.slice(2 * i, 2 * i + 2)).every(
      (byte, i) => byte === '..' || byte === head.slice(2 * i, 2 * i + 2),
    ),
  );
  return (
    known ?? {
      format: `a file that begins with bytes ${head.slice(0, 2 * SHOWN_BYTES)}`,
      supported: false,
    }
  );
}
