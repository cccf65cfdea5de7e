import type { Occ } from '../actions/action.ts';
import type { Facts, WebPhp } from '../facts.ts';
import type { Transport } from '../transports/transport.ts';

/** One Nextcloud on a machine, found and ready to be asked. */
export interface Instance {
  /** Name of the kind of installation: `lamp`. */
  readonly target: string;
  readonly root: string;
  readonly configFile: string;
  /** Set only where it is not `<root>/config`. */
  readonly movedConfigDirectory: string | null;
  /** Owner of config.php, as whom everything of Nextcloud runs. */
  readonly owner: { readonly user: string; readonly group: string; readonly uid: number; readonly gid: number };
  readonly php: string;
  readonly web: WebPhp | null;
  readonly occ: Occ;
}

/** A Nextcloud that was seen, before anything of it was run. */
export interface Sighting {
  readonly root: string;
  readonly versionString: string;
  /** `null` when there is a tree but no config.php for it: never installed. */
  readonly configFile: string | null;
}

export interface OpenOptions {
  /** The PHP to run occ with, instead of the one found. */
  readonly php?: string;
}

/** One kind of installation. More kinds are more entries in the list of targets; nothing else knows them apart. */
export interface Target {
  readonly name: string;
  /** Every Nextcloud of this kind on the machine; with `root` only that one, wherever it lies. */
  find(transport: Transport, root?: string): Promise<Sighting[]>;
  open(transport: Transport, sighting: Sighting, options: OpenOptions): Promise<Instance>;
  facts(transport: Transport, instance: Instance): Promise<Facts>;
}
