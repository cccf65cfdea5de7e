import type { Cleanup } from '../harness/cleanup.ts';
import type { KeyServer } from '../harness/keyserver-process.ts';
import type { Ncpatch } from '../harness/ncpatch-process.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import type { Doors } from './doors.ts';
import type { World } from './world.ts';

/** What was true of the keys before anything moved. */
export interface Memory {
  readonly keyFiles: ReadonlyMap<string, string>;
  readonly marks: readonly string[];
  readonly masterKeyId: string;
  /** Ids of the private keys. */
  readonly privateKeys: readonly string[];
}

/** What a life starts with. */
export interface Beginning {
  readonly tree: NextcloudTree;
  readonly trees: readonly NextcloudTree[];
  readonly world: World;
  readonly cleanup: Cleanup;
}

/** What its first steps add, for the later ones. */
export interface Story extends Beginning {
  readonly nextcloud: NextcloudInstance;
  readonly doors: Doors;
  readonly memory: Memory;
  readonly keyServer: KeyServer;
  readonly ncpatch: Ncpatch;
  readonly stateFolder: string;
  readonly invitation: { readonly url: string; readonly code: string; readonly grant: string; readonly ca: string };
  /** The owner's encrypted copy of the keys, and its passphrase, both files on the administrator's machine. */
  readonly copy: string;
  readonly copyPassphrase: string;
}

/** Steps run in an order in which what they need is there. */
export type Step = (story: Story) => Promise<string | undefined>;

export function assert(right: boolean, words: string): asserts right {
  if (!right) throw new Error(words);
}

export function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([path, hash]) => b.get(path) === hash);
}
