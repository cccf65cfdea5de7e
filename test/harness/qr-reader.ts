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
