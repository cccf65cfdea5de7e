import type { KeyObject } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { type Baseline, raised, type Server } from './baseline.ts';
import { readBaseline, writeBaseline } from './baseline-file.ts';
import { auditorKey } from './baseline-key.ts';
import type { StablePath } from './stable-path.ts';
import type { Seen } from './verdict.ts';

/** Where an auditor keeps baselines: one file, or a folder with a file for each Nextcloud, named by its instance id. */
export class BaselineStore {
  readonly #place: string;
  readonly #key: KeyObject;

  constructor(place: string, keyFile: string, options: { readonly makeKey: boolean }) {
    this.#place = place;
    this.#key = auditorKey(keyFile, { make: options.makeKey });
  }

  fileFor({ instance }: Server): string {
    const isFolder = statSync(resolve(this.#place), { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isFolder) return this.#place;
    if (instance !== null) return join(this.#place, `${instance}.json`);
    throw new LatchkeyError(
      'instance_id_unknown',
      'config.php tells no instance id by which its baseline could be found',
      {
        exit: 3,
        hint: 'name the file itself: --baseline FILE',
      },
    );
  }

  read(server: Server): Baseline {
    return readBaseline(this.fileFor(server), this.#key);
  }

  /** `file_exists` (exit 3) where there is a baseline already. */
  refuseExisting(server: Server): void {
    const file = this.fileFor(server);
    if (!existsSync(resolve(file))) return;
    throw new LatchkeyError('file_exists', `${file} is there already and is never overwritten`, {
      exit: 3,
      hint: 'leave out --new-baseline to compare with it',
    });
  }

  first(server: Server, baseline: Baseline): string {
    writeBaseline(this.fileFor(server), baseline, this.#key, 'new');
    return this.fileFor(server);
  }

  replace(server: Server, baseline: Baseline): void {
    writeBaseline(this.fileFor(server), baseline, this.#key, 'over');
  }

  /** Keeps what only goes up, when something did. */
  raise(server: Server, baseline: Baseline, seen: Seen, stable: StablePath): void {
    const next = raised(baseline, seen, stable);
    if (next !== baseline) this.replace(server, next);
  }
}
