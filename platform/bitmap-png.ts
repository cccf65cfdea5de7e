import { crc32, deflateSync } from 'node:zlib';

/** Dark and light squares, row by row. */
export interface Squares {
  /** Squares in a row, and rows. */
  readonly size: number;
  /** 1 is dark. */
  readonly data: ArrayLike<number>;
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

/**
 * A picture of squares as PNG (ISO/IEC 15948): one bit of grey for each pixel, no filter, no interlace. `scale` is the side of a square in
 * pixels, `margin` the squares of light around.
 */
export function squaresPng({ size, data }: Squares, { scale, margin }: { scale: number; margin: number }): Buffer {
  const side = (size + 2 * margin) * scale;
  const stride = 1 + Math.ceil(side / 8); // a byte before each row says how it is filtered: 0 is not at all
  const pixels = Buffer.alloc(stride * side, 0xff);
  for (let y = 0; y < side; y++) pixels[y * stride] = 0;
  for (let row = 0; row < size; row++) {
    const top = (row + margin) * scale * stride;
    for (let column = 0; column < size; column++) {
      if (data[row * size + column] === 1) darken(pixels, top, (column + margin) * scale, scale);
    }
    for (let more = 1; more < scale; more++) pixels.copyWithin(top + more * stride, top, top + stride);
  }
  const header = Buffer.alloc(13); // what stays 0: grey, deflated, filtered row by row, not interlaced
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.writeUInt8(1, 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function darken(pixels: Buffer, rowStart: number, from: number, count: number): void {
  for (let x = from; x < from + count; x++) {
    const at = rowStart + 1 + (x >> 3);
    pixels[at] = (pixels[at] ?? 0) & ~(0x80 >> (x & 7));
  }
}

/** Length, name, content, and a check sum over name and content. */
function chunk(name: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), content]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(content.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}
