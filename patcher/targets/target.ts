import type { Occ } from '../actions/action.ts';
import type { ContainerFacts, Facts, HeartbeatWay, WebPhp } from '../facts.ts';
import type { RunResult, Transport } from '../transports/transport.ts';

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
  /** Runs the PHP that occ runs on, as the owner, with these arguments: settings, `-r`, a program of its own. */
  readonly runPhp: RunPhp;
  /** What the paths of this instance and of its facts mean. */
  readonly files: Transport;
  /** The machine below it, which has the timers and ncpatch's journal; the same unless Nextcloud is in a container. */
  readonly machine: Transport;
  /** Where the enrolment is kept while config.php names no folder. Must outlive an upgrade. */
  readonly defaultStateFolder: (instanceId: string) => string;
  readonly heartbeat: HeartbeatWay;
  /**
   * Throws when the ground has moved since this was opened: another revision of a snap, to which the same paths lead now.
   * The journal asks before and after each change, and before it commits. Not set where that cannot happen.
   */
  readonly steady?: () => Promise<void>;
  /** The words that run occ as the owner, for a shell of the machine's root: what `occ` does, without ncpatch. */
  readonly occCommand: readonly string[];
  /** The words before a program that make it run as root among Nextcloud's files; none where those are the machine's. */
  readonly filesCommand: readonly string[];
  /** Set where it is in a container; `stateFolder` is where its enrolment is, to see who else can reach it. */
  readonly container?: (stateFolder: string) => ContainerFacts;
}

export type RunPhp = (
  args: readonly string[],
  options?: { readonly input?: string; readonly timeoutMs?: number },
) => Promise<RunResult>;

/** A Nextcloud that was seen, before anything of it was run. */
export interface Sighting {
  readonly root: string;
  readonly versionString: string;
  /** `null` when there is a tree but no config.php for it: never installed. */
  readonly configFile: string | null;
  /** The container it is in; its paths are that one's. */
  readonly container?: string;
  /** Where `root` lies on the machine, if anywhere: the same tree is not taken for one outside of the container too. */
  readonly machineRoot?: string | null;
}

export interface OpenOptions {
  /** The PHP to run occ with, instead of the one found. */
  readonly php?: string;
}

/** One kind of installation. More kinds are more entries in the list of targets; nothing else knows them apart. */
export interface Target {
  readonly name: string;
  /** Every Nextcloud of this kind on the machine; with `root` only that one, wherever it lies; `container` the same. */
  find(transport: Transport, root?: string, container?: string): Promise<Sighting[]>;
  open(transport: Transport, sighting: Sighting, options: OpenOptions): Promise<Instance>;
  facts(instance: Instance): Promise<Facts>;
}
