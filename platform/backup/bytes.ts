/** A stream of bytes, taken by number and not as they come. */
export class Bytes {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** `count` bytes, fewer only at the end. */
  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count && (await this.#more()));
    return this.#cut(count);
  }

  /** 1 to `most` bytes, or `null` at the end. */
  async some(most: number): Promise<Buffer | null> {
    if (this.#held.length === 0 && !(await this.#more())) return null;
    return this.#cut(most);
  }

  /** Up to and with the first line feed; `null` when there is none within `limit`. */
  async takeLine(limit: number): Promise<Buffer | null> {
    for (;;) {
      const end = this.#held.subarray(0, limit).indexOf(10);
      if (end !== -1) return this.#cut(end + 1);
      if (this.#held.length >= limit || !(await this.#more())) return null;
    }
  }

  /** Everything after what was taken. */
  async *rest(): AsyncGenerator<Buffer> {
    for (let chunk = await this.some(262_144); chunk !== null; chunk = await this.some(262_144)) yield chunk;
  }

  /** False at the end. Pieces may be empty. */
  async #more(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#held = this.#held.length === 0 ? Buffer.from(next.value) : Buffer.concat([this.#held, next.value]);
      return true;
    }
  }

  #cut(count: number): Buffer {
    const cut = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return cut;
  }
}
