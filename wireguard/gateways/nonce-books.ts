import { NonceBook } from './nonce-book.ts';

/** A book for each secret, which is named by the box it is sealed in: no two boxes are alike, not even of one secret. */
export class NonceBooks {
  readonly #books: Map<string, NonceBook> = new Map();

  /** How many are kept. */
  get size(): number {
    return this.#books.size;
  }

  /** The book of that secret; a new one takes nothing signed at or before the second `floor`. Those of secrets that are gone are dropped in time. */
  of(box: Uint8Array, floor: number, now: number): NonceBook {
    const id = Buffer.from(box).toString('latin1');
    const known = this.#books.get(id);
    if (known !== undefined) return known;
    for (const [other, book] of this.#books) if (book.isIdle(now)) this.#books.delete(other);
    const book = new NonceBook(floor);
    this.#books.set(id, book);
    return book;
  }
}
