import type { ContainerMount } from './targets/container-engine.ts';
import type { VersionFile } from './targets/version-file.ts';

/** The app's folder name, everywhere. */
export const APP_ID = 'remotekeystorage';

/** The folder above all state: root's, but everybody may pass through it to a folder of their own. */
export const STATE_PARENT = '/var/lib/latchkey';

export type EncryptionMode = 'off' | 'master' | 'user';

/**
 * How far the app has come: not there; files of another version or content; switched off; loaded; holding a key
 * server's credentials; with the private keys moved to the key server.
 */
export type AppState = 'absent' | 'old' | 'disabled' | 'enabled' | 'enrolled' | 'escrowed';

export interface AppsPath {
  readonly path: string;
  readonly url: string;
  readonly writable: boolean;
}

/** PHP on the command line, as occ runs on it. */
export interface CliPhp {
  readonly program: string;
  readonly version: string;
  /** What the app needs and this PHP lacks: `curl`, `openssl`, … */
  readonly missingExtensions: readonly string[];
  readonly apcu: boolean;
  readonly exceptionArgsIgnored: boolean;
}

/** PHP as the web server runs it; what could not be found out is `null`. */
export interface WebPhp {
  readonly sapi: 'fpm' | 'module';
  readonly version: string | null;
  readonly iniFile: string | null;
  readonly missingExtensions: readonly string[] | null;
  readonly apcu: boolean | null;
  readonly exceptionArgsIgnored: boolean | null;
  readonly sessionHandler: string | null;
  readonly sessionPath: string | null;
  /** Whether `sessionPath` lies in memory only. */
  readonly sessionsOnTmpfs: boolean | null;
  /** For how many seconds a changed file may stay unnoticed. */
  readonly opcacheSeconds?: number | null;
  /** The folder in which compiled code lies on the disk too, that of config.php included. */
  readonly opcacheFolder?: string | null;
}

export interface Obstacle {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  /** `apply` refuses while one that blocks stands. */
  readonly blocking: boolean;
}

/** What the app's files are: `content` maps relative path to SHA-256 (hex). */
export interface AppFiles {
  readonly path: string;
  readonly version: string | null;
  readonly content: Readonly<Record<string, string>>;
}

/** The enrolment as its files tell it; no secret is in here. */
export interface Enrolment {
  readonly directory: string;
  readonly clientId: string;
  readonly urls: readonly string[];
  /** Ids of the keys that live on the key server only. */
  readonly keys: readonly string[];
}

export interface StateFolder {
  readonly path: string;
  readonly exists: boolean;
  readonly owner: string | null;
  readonly mode: string | null;
}

/** What snapd says of a Nextcloud that is a snap. */
export interface SnapFacts {
  readonly version: string;
  readonly revision: string;
  /** The channel refreshes come from; `null` for a snap that was installed from a file. */
  readonly tracking: string | null;
  /** Such as `devmode` or `try`; `held` is not among them. */
  readonly notes: readonly string[];
  /** `snap` while refreshes of this one are held, snapd's words for the end of a hold of all, or `null`. */
  readonly held: string | null;
  /** Revisions that are kept beside the one in use, each with data of its own. */
  readonly otherRevisions: readonly string[];
  /** Copies of keys, or of config.php which opens them, that snapd and the snap have made. */
  readonly copies: readonly { readonly path: string; readonly words: string; readonly hint: string }[];
}

/** How a timer of the machine sends the heartbeat: as a user of its own, or by a shell inside of a container. */
export type HeartbeatWay =
  | { readonly via: 'machine'; readonly user: string }
  /** The words before `sh`, such as `docker exec -i -u 33 nextcloud`. */
  | { readonly via: 'container'; readonly command: readonly string[] };

/** A folder for scripts that a container's entry point runs, where it is a mount and outlives the container. */
export interface EntryHook {
  /** Our script in it. */
  readonly path: string;
  readonly writable: boolean;
  /** What the script should hold. */
  readonly wanted: string;
  /** What it holds; `null` when it is not there. */
  readonly content: string | null;
}

/** What is told of the container that a Nextcloud is in. */
export interface ContainerFacts {
  readonly engine: 'docker' | 'podman';
  readonly name: string;
  readonly image: string;
  /** `official`: built as the image of that name; `aio`: Nextcloud All-in-One. */
  readonly kind: 'official' | 'aio' | 'other';
  readonly mounts: readonly ContainerMount[];
  readonly entryHooks: readonly EntryHook[];
  /** Other containers that run the same code, and whether they see the enrolment. */
  readonly companions: readonly { readonly name: string; readonly seesState: boolean }[];
}

/**
 * How Nextcloud comes to ask for keys: through the app, which somebody may switch off, or through a changed file of
 * Nextcloud's own, which an upgrade takes away.
 */
export type HookName = 'app' | 'core';

/** The file of Nextcloud that the hook `core` changes. Hashes are SHA-512, as the vendor signs them. */
export interface CoreFile {
  readonly path: string;
  /** As the vendor signed it; with our hook as it is to be; with that of another ncpatch; neither. */
  readonly state: 'stock' | 'patched' | 'outdated' | 'other';
  readonly now: string | null;
  readonly signed: string | null;
  /** What it becomes with the hook in it; `null` where that cannot be. */
  readonly hooked: string | null;
  /** Whether lines of ours are in it, whatever else is. */
  readonly marked: boolean;
  /** Why the hook cannot be put in. */
  readonly refusal: { readonly code: string; readonly message: string; readonly hint: string } | null;
  /** Set where the file cannot be written, so that a changed copy is mounted over it. */
  readonly cover: CoreCover | null;
}

/** What mounts the changed copy: each of its small files as it is, by path, and the services that must not start before. */
export interface CoreCover {
  readonly files: Readonly<Record<string, string>>;
  readonly before: readonly string[];
  /** The script as this ncpatch brings it along. */
  readonly script: string;
}

export type Scheduler = 'systemd' | 'cron' | 'none';

/** The watch on the machine, and how its script would reach this Nextcloud (`Instance`). */
export interface WatchFacts {
  readonly occCommand: readonly string[];
  readonly filesCommand: readonly string[];
  /** `uid:gid` that the app's files are to have. */
  readonly owner: string;
  /** Whether its folder is there; false for whoever may not look. */
  readonly folder: boolean;
  /** SHA-256 of each of its files that is there, by path; what its script leaves is not among them. */
  readonly files: Readonly<Record<string, string>>;
}

/** Everything `detect` finds out about one Nextcloud, and all that `plan` looks at. */
export interface Facts {
  readonly target: string;
  readonly root: string;
  readonly configFile: string;
  /** Set only where it is not `<root>/config`. */
  readonly movedConfigDirectory: string | null;
  readonly owner: { readonly user: string; readonly group: string };
  readonly version: VersionFile;
  readonly instanceId: string;
  readonly maintenance: boolean;
  readonly needsUpgrade: boolean;
  /** The version the database is at; it differs from `version.version` while an upgrade of Nextcloud waits. */
  readonly databaseVersion: string;
  readonly database: string;
  readonly dataDirectory: string;
  readonly appsPaths: readonly AppsPath[];
  /** False where config.php names no apps path, so that `<root>/apps` is the only one. */
  readonly appsPathsConfigured: boolean;
  readonly cli: CliPhp;
  readonly web: WebPhp | null;
  readonly encryption: {
    readonly mode: EncryptionMode;
    readonly masterKeyId: string | null;
    readonly publicShareKeyId: string | null;
    readonly recoveryKeyId: string | null;
    /** Names of the private system keys on the disk. */
    readonly privateKeys: readonly string[];
  };
  readonly caches: {
    readonly local: string | null;
    readonly distributed: string | null;
    readonly locking: string | null;
  };
  readonly app: {
    readonly state: AppState;
    readonly enabled: boolean;
    /** What the database holds, `null` when it was never enabled. */
    readonly installedVersion: string | null;
    readonly files: AppFiles | null;
  };
  readonly enrolment: Enrolment | null;
  /** What config.php remembers of `apply --hook core`. */
  readonly hook?: HookName;
  /** Set where the hook `core` is wanted or there. */
  readonly core?: CoreFile;
  readonly stateFolder: StateFolder;
  readonly heartbeat: HeartbeatWay;
  /** Set for a snap only. */
  readonly snap?: SnapFacts;
  readonly scheduler: Scheduler;
  /** Files of the heartbeat and its timer as they are, by path. */
  readonly timerFiles: Readonly<Record<string, string>>;
  /** Programs that the heartbeat needs and the machine lacks: `curl`, `openssl`, `flock`. */
  readonly missingPrograms: readonly string[];
  readonly watch?: WatchFacts;
  readonly isRoot: boolean;
  readonly selinuxEnforcing: boolean;
  /** A system that brings its own ways to install and update Nextcloud; see `targets/platform.ts`. */
  readonly platform?: string | null;
  /** `null` where Nextcloud is among the machine's own files. */
  readonly container?: ContainerFacts | null;
}
