import { createGunzip, type Gunzip } from 'node:zlib';
import { LatchkeyError } from '../../platform/errors.ts';

/** What a listing may come to when it is unpacked. */
const MAX_BYTES = 192 * 1024 * 1024;
/** The first byte of gzip (RFC 1952, section 2.3.1); a listing that is not packed begins with a letter. */
const GZIP = 0x1f;
const NEWLINE = 0x0a;

/** Told after each piece: files hashed so far, of how many. */
export type ListingProgress = (done: number, total: number) => void;

type Unpacking = { readonly gunzip: Gunzip; readonly ended: Promise<void> } | 'plain';

/** Takes a listing as it comes, packed or not, and counts the files in it on the way. */
export class ListingStream {
  readonly #progress: ListingProgress;
  readonly #plain: Buffer[] = [];
  #size = 0;
  #unpacking: Unpacking | null = null;
  #total = 0;
  #done = 0;
  /** Bytes of a number of files that are not whole yet; `null` once the hashes have begun. */
  #counting: string | null = '';

  constructor(progress: ListingProgress = () => undefined) {
    this.#progress = progress;
  }

  readonly take = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    if (this.#unpacking === null) this.#unpacking = this.#open(chunk);
    if (this.#unpacking === 'plain') this.#keep(chunk);
    else this.#unpacking.gunzip.write(chunk);
  };

  /** The whole listing, unpacked. `target_answer` when it was cut short or damaged. */
  async whole(): Promise<Buffer> {
    if (this.#unpacking !== null && this.#unpacking !== 'plain') {
      this.#unpacking.gunzip.end();
      await this.#unpacking.ended;
    }
    if (this.#size > MAX_BYTES) throw damaged();
    return Buffer.concat(this.#plain);
  }

  #open(first: Buffer): Unpacking {
    if (first[0] !== GZIP) return 'plain';
    const gunzip = createGunzip();
    gunzip.on('data', (chunk: Buffer) => {
      this.#keep(chunk);
      if (this.#size > MAX_BYTES) gunzip.destroy(damaged());
    });
    const ended = new Promise<void>((resolve, reject) => {
      gunzip.on('end', resolve);
      gunzip.on('error', (cause) => reject(cause instanceof LatchkeyError ? cause : damaged(cause)));
    });
    ended.catch(() => undefined); // told by `whole`
    return { gunzip, ended };
  }

  #keep(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > MAX_BYTES) return;
    this.#plain.push(chunk);
    this.#count(chunk);
  }

  #count(chunk: Buffer): void {
    if (this.#counting !== null) {
      this.#counting += chunk.toString('latin1');
      const numbers = /^(?:N[0-9]{1,9}\0)*/.exec(this.#counting)?.[0] ?? '';
      const rest = this.#counting.slice(numbers.length);
      if (/^N?[0-9]*$/.test(rest)) return;
      for (const [, number] of numbers.matchAll(/N([0-9]+)\0/g)) this.#total += Number(number);
      this.#counting = null;
      this.#done = rest.split('\n').length - 1;
    } else for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) this.#done++;
    // contents come after the hashes and have lines, too
    if (this.#total > 0) this.#progress(Math.min(this.#done, this.#total), this.#total);
  }
}

function damaged(cause?: unknown): LatchkeyError {
  return new LatchkeyError('target_answer', 'the list of files did not arrive whole', { cause });
}
