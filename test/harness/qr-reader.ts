import { createRequire } from 'node:module';
import { PNG } from 'pngjs';

type ReadQr = (pixels: Uint8ClampedArray, width: number, height: number) => { binaryData: number[] } | null;
const readQr = createRequire(import.meta.url)('jsqr') as ReadQr;

/** What a reader finds in a QR code that came as `data:image/png;base64,…`. Throws where there is none, or no PNG. */
export function readQrPng(dataUrl: string): string {
  const base64 = /^data:image\/png;base64,([A-Za-z0-9+/]+={0,2})$/.exec(dataUrl)?.[1];
  if (base64 === undefined) throw new TypeError('not a picture as a data URL');
  const { data, width, height } = PNG.sync.read(Buffer.from(base64, 'base64'));
  const found = readQr(new Uint8ClampedArray(data), width, height);
  if (found === null) throw new TypeError('no QR code was found in the picture');
  return Buffer.from(found.binaryData).toString('utf8');
}

/** The same for one that was written to a terminal: each character is two squares, one above the other, dark where something is drawn. */
export function readQrText(picture: string): string {
  const plain = picture.replaceAll('\u001b[30;107m', '').replaceAll('\u001b[0m', '');
  const lines = plain.split('\n').filter((line) => /[\u2580\u2584\u2588]/.test(line));
  const border = 4;
  const scale = 4;
  const width = (Math.max(0, ...lines.map((line) => line.length)) + 2 * border) * scale;
  const height = (2 * lines.length + 2 * border) * scale;
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  const isDark = (x: number, y: number): boolean => {
    const sign = lines[y >> 1]?.[x] ?? ' ';
    return sign === '\u2588' || sign === (y % 2 === 0 ? '\u2580' : '\u2584');
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!isDark(Math.floor(x / scale) - border, Math.floor(y / scale) - border)) continue;
      pixels.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
    }
  }
  const found = readQr(pixels, width, height);
  if (found === null) throw new TypeError('no QR code was found on the terminal');
  return Buffer.from(found.binaryData).toString('utf8');
}
