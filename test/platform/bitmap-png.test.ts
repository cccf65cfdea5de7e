import { PNG } from 'pngjs';
import { expect, it } from 'vitest';
import { squaresPng } from '../../platform/bitmap-png.ts';

it('squaresPng() draws each module as a square of its own, inside of a light border', () => {
  const { width, height, data } = PNG.sync.read(
    squaresPng({ size: 2, data: Uint8Array.of(1, 0, 0, 1) }, { margin: 1, scale: 3 }),
  );
  const isDark = (x: number, y: number): boolean => data[4 * (y * width + x)] === 0;
  const drawn = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (isDark(x, y) ? '#' : '.')).join(''),
  );
  const [light, first, second] = ['............', '...###......', '......###...'];
  expect(drawn).toEqual([light, light, light, first, first, first, second, second, second, light, light, light]);
});
