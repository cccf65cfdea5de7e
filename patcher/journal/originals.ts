import { LatchkeyError } from '../../platform/errors.ts';
import type { Originals } from '../actions/action.ts';
import { splitPath, type Transport } from '../transports/transport.ts';

/** Largest file kept for undoing. */
export const ORIGINAL_MAX_BYTES = 8 * 1024 * 1024;

/** Private keys are moved by escrow and restore, which never copy them in clear; a journal must not either. */
export function refusePrivateKey(path: string): void {
  if (!/\.privateKey/i.test(path)) return;
  throw new LatchkeyError('private_key_refused', 'a private key is not changed or kept by the journal', { exit: 3 });
}

/** Saved originals in a folder of the transaction beside the journal, each 0600, numbered, named after its file. */
export class SavedOriginals implements Originals {
  readonly transaction: string;
  readonly folder: string;
  readonly #transport: Transport;

  constructor(transport: Transport, directory: string, transaction: string) {
    this.transaction = transaction;
    this.folder = `${directory}/originals-${transaction}`;
    this.#transport = transport;
  }

  async save(path: string, data: Buffer): Promise<string> {
    refusePrivateKey(path);
    const { uid, gid } = this.#transport.user;
    await this.#transport.makeDirectory(this.folder, { mode: 0o700, uid, gid });
    for (let number = (await this.#transport.list(this.folder))?.length ?? 0; ; number++) {
      const name = `${String(number + 1).padStart(3, '0')}-${splitPath(path)
        .name.replace(/[^\w.-]/g, '_')
        .slice(0, 100)}`;
      if (await this.#transport.createFileExclusive(`${this.folder}/${name}`, data, { mode: 0o600, uid, gid }))
        return name;
    }
  }

  async load(name: string): Promise<Buffer> {
    if (!/^[0-9]{3,}-[\w.-]{1,100}$/.test(name)) throw new TypeError('not the name of a saved original');
    const data = await this.#transport.readFile(`${this.folder}/${name}`, { max: ORIGINAL_MAX_BYTES });
    if (data !== null) return data;
    throw new LatchkeyError('original_missing', `the saved original ${name} is gone from ${this.folder}`);
  }

  /** After the transaction has ended. */
  async discard(): Promise<void> {
    await this.#transport.removeTree(this.folder, { named: splitPath(this.folder).name });
  }
}
