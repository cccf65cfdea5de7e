import type { Needle } from './key-needles.ts';

const hashBits = 18;

/**
 * Looks for thousands of needles in one pass (Wu and Manber, 1994): three bytes at the end of the window tell how far to
 * step, which is nearly always almost the length of the shortest needle.
 */
export class NeedleIndex {
  readonly #length: number;
  readonly #steps: Uint8Array;
  readonly #ends: Map<number, Needle[]> = new Map();

  constructor(needles: readonly Needle[]) {
    const shortest = Math.min(...needles.map((needle) => needle.bytes.length));
    if (needles.length === 0 || shortest < 8) throw new TypeError('a needle must have 8 bytes or more');
    this.#length = Math.min(shortest, 200);
    const farthest = this.#length - 2;
    this.#steps = new Uint8Array(1 << hashBits).fill(farthest);
    for (const needle of needles) {
      for (let end = 2; end < this.#length; end++) {
        const hash = hashAt(needle.bytes, end);
        this.#steps[hash] = Math.min(this.#steps[hash] ?? 0, this.#length - 1 - end);
      }
      const last = hashAt(needle.bytes, this.#length - 1);
      this.#ends.set(last, [...(this.#ends.get(last) ?? []), needle]);
    }
  }

  /** Each needle that is in there, once. */
  in(bytes: Buffer): ReadonlySet<Needle> {
    const found = new Set<Needle>();
    for (let end = this.#length - 1; end < bytes.length; ) {
      const hash = hashAt(bytes, end);
      const step = this.#steps[hash] ?? 1;
      if (step > 0) {
        end += step;
        continue;
      }
      const start = end - this.#length + 1;
      for (const needle of this.#ends.get(hash) ?? []) {
        if (
          bytes.compare(
            needle.bytes,
            0,
            needle.bytes.length,
            start,
            Math.min(start + needle.bytes.length, bytes.length),
          ) === 0
        )
          found.add(needle);
      }
      end += 1;
    }
    return found;
  }
}

function hashAt(bytes: Buffer, end: number): number {
  const three = ((bytes[end - 2] ?? 0) << 16) | ((bytes[end - 1] ?? 0) << 8) | (bytes[end] ?? 0);
  return Math.imul(three, 0x9e3779b1) >>> (32 - hashBits);
}
