import { squaresPng } from './bitmap-png.ts';

/** A QR code for a terminal: dark on light, as scanners want it; a terminal is told so, for it may write light on dark. */
export async function qrText(text: string, isTerminal: boolean): Promise<string> {
  const picture = await (await library()).toString(text, { type: 'utf8', errorCorrectionLevel: 'L' });
  const black = (line: string): string => (line === '' ? line : `\u001b[30;107m${line}\u001b[0m`);
  return isTerminal ? picture.split('\n').map(black).join('\n') : picture;
}

/**
 * Readers take any mask (ISO/IEC 18004, 7.8). Looking for the one of eight that is easiest on them takes most of a code's time, and
 * what is drawn here is keys, for the most part, which look the same under each.
 */
const MASK = 0;

/** The most a QR code can hold, in bytes: version 40, least correction (ISO/IEC 18004, table 7). */
export const QR_MOST_BYTES = 2953;

/**
 * A QR code as `data:image/png;base64,…`. Throws TypeError for more than a code can hold (`QR_MOST_BYTES`). Taken as bytes and drawn
 * here: the library would look for a shorter spelling that such texts do not have, and its own drawing takes fifty times as long.
 */
export async function qrDataUrl(text: string): Promise<string> {
  const data = Buffer.from(text);
  if (data.length > QR_MOST_BYTES) throw new TypeError('the text is too long for a QR code');
  const { modules } = (await library()).create([{ data, mode: 'byte' }], {
    errorCorrectionLevel: 'L',
    maskPattern: MASK,
  });
  return `data:image/png;base64,${squaresPng(modules, { scale: 6, margin: 4 }).toString('base64')}`;
}

/** A QR code of digits, capitals and ` $%*+-./:` as SVG, to be printed. */
export async function qrSvg(alphanumeric: string): Promise<string> {
  const code = [{ data: alphanumeric, mode: 'alphanumeric' }] as const;
  return (await library()).toString([...code], { type: 'svg', errorCorrectionLevel: 'M', margin: 4 });
}

/** Loaded where a code is drawn: most commands never do. */
async function library() {
  return (await import('qrcode')).default;
}
