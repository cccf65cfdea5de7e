/**
 * How ncpatch reaches a target: run a program there, look at files, change them. Everything above this file (detect,
 * plan, journal, actions) sees only this interface; whether the target is this machine or one behind SSH makes no
 * difference to it.
 *
 * Rules for every implementation:
 * - `null` means "not there"; anything else that is wrong is thrown as a LatchkeyError.
 * - Paths are absolute, without `.` or `..` segments, NUL or a trailing slash (`checkPath`). A path that breaks this is a
 *   programming error: TypeError.
 * - Secrets travel through `input` or `data` (stdin), never through `argv`: the process list of a target is public.
 * - When the connection breaks, every call, running and future, rejects with code `connection_lost`. The caller cannot
 *   know then whether the step happened; the journal decides later by looking.
 */
export interface Transport {
  /** For messages: `root@cloud.example.org:22` or `this machine`. */
  readonly label: string;
  /** Who file operations and plain `run` calls act as on the target, after `--sudo`. */
  readonly user: TargetUser;

  /**
   * Runs one program and waits for it; any exit status is an answer, not an error (killed by signal n: 128 + n).
   * Throws `command_timeout`, `command_too_loud`, `needs_root` (`as` without the rights). A program that is not there is exit
   * status 127, as a shell says it.
   */
  run(argv: readonly [string, ...string[]], options?: RunOptions): Promise<RunResult>;

  /** The whole file; null when it is not there; `file_too_large` when longer than `max` bytes. Follows symlinks. */
  readFile(path: string, options: { max: number }): Promise<Buffer | null>;
  /** Does not follow a symlink at the end of the path. */
  stat(path: string): Promise<FileStat | null>;
  /** The entries of a folder, sorted by name, without `.` and `..`; null when it is not there. */
  list(path: string): Promise<FileEntry[] | null>;
  /** The path with every symlink resolved; null when it leads nowhere. */
  realPath(path: string): Promise<string | null>;
  /**
   * SHA-256 and mode of each regular file below a folder, by relative path; null when it is not there. What is neither
   * file nor folder (a symlink) is listed with an empty `sha256`, so that it equals nothing.
   */
  treeDigest(path: string): Promise<Map<string, FileDigest> | null>;

  /**
   * All or nothing, durable when it returns: temporary file in the same folder, owner and mode set, fsync, rename, fsync of
   * the folder. Replaces a symlink instead of following it; refuses to replace a folder (`not_a_file`).
   */
  writeFileAtomic(path: string, data: Buffer, owner: Ownership): Promise<void>;
  /** Same durability; false, and nothing changed, when something has that name already. */
  createFileExclusive(path: string, data: Buffer, owner: Ownership): Promise<boolean>;
  /**
   * Appends one line (given without its newline) durably; the file is made with mode 0600. A line cut short by a full disk
   * stays, and the next one begins on a line of its own. With `guard`, only while the file `guard.path` holds exactly the
   * line `guard.holds`; otherwise `lock_lost` and nothing is written.
   */
  appendLine(path: string, line: string, options?: { guard?: AppendGuard }): Promise<void>;
  /** One level. False when the folder was there already (it is left as it is); `not_a_directory` when it is something else. */
  makeDirectory(path: string, owner: Ownership): Promise<boolean>;
  /** Moves within one file system, durably. Refuses (`path_exists`) when something has the new name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, a symlink or an empty folder; nothing there is fine. Never recursive. */
  remove(path: string): Promise<void>;
  /**
   * Removes a folder and all below it; nothing there is fine. Refused unless the last name of the path is `named`, it is a
   * real folder at least three levels deep, and nothing is mounted inside.
   */
  removeTree(path: string, options: { named: string }): Promise<void>;
  /**
   * Makes the folder `path` (which must not exist) with these files in it, in one transfer, checked by hash on the target,
   * durable. Nobody but the acting user can look into it before it is complete. Relative names, `/` between segments.
   */
  uploadTree(path: string, files: readonly TreeFile[], owner: Ownership): Promise<void>;

  /**
   * From now on every program this transport starts keeps the file `path` locked (shared) for as long as it runs, also when
   * the connection breaks and it goes on by itself; null ends that.
   */
  holdWhileRunning(path: string | null): void;
  /** Waits until nothing holds `path` any more; false when something still does after `timeoutMs`. */
  waitUntilIdle(path: string, timeoutMs: number): Promise<boolean>;

  /** Ends the connection; later calls reject. Never throws. */
  close(): Promise<void>;
}

export interface TargetUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface RunOptions {
  /** stdin; without it stdin is empty. */
  readonly input?: Buffer | string;
  /** Deadline, default 60 s. */
  readonly timeoutMs?: number;
  /** Cap for stdout and stderr each, default 8 MiB. */
  readonly maxBytes?: number;
  /** Run as this user of the target (needs root, or to be that user already). */
  readonly as?: string;
  /** Told each piece of stdout as it comes; all of it is in the result too. */
  readonly onStdout?: (chunk: Buffer) => void;
}

export interface RunResult {
  readonly exit: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'other';

export interface FileStat {
  readonly kind: FileKind;
  /** Permission bits with set-id and sticky, e.g. 0o640. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** `UNKNOWN` when the id has no name. */
  readonly owner: string;
  readonly group: string;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

export interface FileEntry extends FileStat {
  readonly name: string;
}

export interface FileDigest {
  /** 64 hex digits, or '' for what has no content of its own. */
  readonly sha256: string;
  readonly mode: number;
}

export interface Ownership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface AppendGuard {
  readonly path: string;
  readonly holds: string;
}

export interface TreeFile {
  readonly path: string;
  readonly data: Buffer;
  readonly mode: number;
}

export const RUN_TIMEOUT_MS = 60_000;
export const RUN_MAX_BYTES = 8 * 1024 * 1024;

/** Longest path Linux takes (PATH_MAX), its closing NUL included. */
const PATH_MAX = 4096;

/** Throws TypeError unless `path` is absolute and plain; returns it. */
export function checkPath(path: string): string {
  const segments = path.split('/').slice(1);
  const plain = segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
  if (!path.startsWith('/') || !plain || path.includes('\0') || !path.isWellFormed() || path.length >= PATH_MAX) {
    throw new TypeError('a path on the target must be absolute and free of empty, "." and ".." segments');
  }
  return path;
}

/** Throws TypeError unless `path` is relative and plain; returns it. */
export function checkRelativePath(path: string): string {
  checkPath(`/${path}`);
  return path;
}

/** Folder and last name of a checked path. */
export function splitPath(path: string): { folder: string; name: string } {
  const slash = checkPath(path).lastIndexOf('/');
  return { folder: slash === 0 ? '/' : path.slice(0, slash), name: path.slice(slash + 1) };
}
