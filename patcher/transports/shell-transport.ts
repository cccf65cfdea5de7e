import { randomBytes } from 'node:crypto';
import { LatchkeyError } from '../../platform/errors.ts';
import { becomeUser, type Elevation, elevate } from './elevation.ts';
import { parseDigest, parseList, parseStat } from './script-answers.ts';
import { packTree } from './tar.ts';
import * as scripts from './target-scripts.ts';
import {
  type AppendGuard,
  checkPath,
  type FileDigest,
  type FileEntry,
  type FileStat,
  type Ownership,
  RUN_MAX_BYTES,
  RUN_TIMEOUT_MS,
  type RunOptions,
  type RunResult,
  splitPath,
  type TargetUser,
  type Transport,
  type TreeFile,
} from './transport.ts';

/** Runs one program as whoever logged in; any exit status is an answer. All else is built on this. */
export type Exec = (
  argv: readonly [string, ...string[]],
  /** `as` comes only where an exec becomes other users by itself (`becomeWith`). */
  options: {
    input: Buffer;
    timeoutMs: number;
    maxBytes: number;
    as?: string;
    onStdout?: (chunk: Buffer) => void;
  },
) => Promise<RunResult>;

export interface ShellTransportParts {
  readonly label: string;
  readonly exec: Exec;
  readonly elevation: Elevation;
  readonly user: TargetUser;
  readonly becomeWith: 'runuser' | 'su' | 'exec';
  /** Whether the target has `timeout -k`, which then ends there what is late. */
  readonly hasTimeout?: boolean;
  readonly close: () => Promise<void>;
}

/** Trees are small, but lines may be slow. */
const UPLOAD_TIMEOUT_MS = 300_000;
/** For the lists and hashes of large folders. */
const LIST_MAX_BYTES = 64 * 1024 * 1024;
const COMPLAINT_BYTES = 65_536;
const LIST_TRIES = 5;
const EXIT = scripts.SCRIPT_EXIT;
/** The open file is inherited by the program and all it starts, and the lock goes with the last of them. */
const HOLD = 'exec 9>>"$1" && shift && { flock -s 9 2>/dev/null; exec "$@"; }';
/** TERM first, which lets a script of ours clear away what it began. */
const TERM_SECONDS = 5;
/** What timeout itself ends with, and what KILL makes of it. */
const ENDED_LATE: ReadonlySet<number> = new Set([124, 137]);
/** For the answer of a target that has ended the program itself. */
const ANSWER_MS = 2000;

/** A transport over anything that can run a POSIX shell with coreutils or busybox. */
export class ShellTransport implements Transport {
  readonly label: string;
  readonly user: TargetUser;
  readonly #parts: ShellTransportParts;
  #closed = false;
  #held: string | null = null;

  constructor(parts: ShellTransportParts) {
    this.label = parts.label;
    this.user = parts.user;
    this.#parts = parts;
  }

  async run(argv: readonly [string, ...string[]], options: RunOptions = {}): Promise<RunResult> {
    if (this.#closed) throw new LatchkeyError('connection_lost', `the connection to ${this.label} is closed`);
    const { elevation, user, becomeWith, exec, hasTimeout = false } = this.#parts;
    const other = options.as !== undefined && options.as !== user.name;
    if (other && user.uid !== 0) {
      throw new LatchkeyError('needs_root', `acting as another user on ${this.label} needs root`, {
        hint: 'log in as root, or use --sudo',
      });
    }
    const as = other && becomeWith === 'exec' ? { as: options.as } : {};
    const wanted =
      options.as !== undefined && other && becomeWith !== 'exec' ? becomeUser(options.as, becomeWith, argv) : argv;
    const timeoutMs = options.timeoutMs ?? RUN_TIMEOUT_MS;
    const seconds = Math.ceil(timeoutMs / 1000);
    // the target ends what is late, with all it has started, so that nothing of it is at work when its undo begins
    const bounded: typeof wanted = hasTimeout
      ? ['timeout', '-k', String(TERM_SECONDS), String(seconds), ...wanted]
      : wanted;
    const held: typeof wanted = this.#held === null ? bounded : ['sh', '-c', HOLD, 'sh', this.#held, ...bounded];
    const elevated = elevate(elevation, held, Buffer.from(options.input ?? ''));
    const began = performance.now();
    const result = await exec(elevated.argv, {
      input: elevated.input,
      timeoutMs: hasTimeout ? (seconds + TERM_SECONDS) * 1000 + ANSWER_MS : timeoutMs,
      maxBytes: options.maxBytes ?? RUN_MAX_BYTES,
      ...(options.onStdout === undefined ? {} : { onStdout: options.onStdout }),
      ...as,
    });
    if (hasTimeout && ENDED_LATE.has(result.exit) && performance.now() - began >= seconds * 1000) {
      throw new LatchkeyError('command_timeout', `${argv[0]} on ${this.label} did not finish within ${timeoutMs} ms`);
    }
    return result;
  }

  async readFile(path: string, options: { max: number }): Promise<Buffer | null> {
    const result = await this.#script(scripts.READ, path, [checkPath(path), String(options.max)], {
      // the cap holds for what the machine complains about too, and a shell may have more to say than a short file
      maxBytes: Math.max(options.max + 1, COMPLAINT_BYTES),
      answers: [EXIT.notThere],
    });
    if (result.exit === EXIT.notThere) return null;
    if (result.stdout.length > options.max) throw failure(EXIT.tooLarge, path, '');
    return result.stdout;
  }

  async stat(path: string): Promise<FileStat | null> {
    const result = await this.#script(scripts.STAT, path, [checkPath(path)], { answers: [EXIT.notThere] });
    return result.exit === EXIT.notThere ? null : parseStat(result.stdout.toString('utf8').replace(/\n$/, ''));
  }

  async list(path: string): Promise<FileEntry[] | null> {
    for (let tries = 0; tries < LIST_TRIES; tries++) {
      const options = { maxBytes: LIST_MAX_BYTES, answers: [EXIT.notThere], timeoutMs: UPLOAD_TIMEOUT_MS };
      const result = await this.#script(scripts.LIST, path, [checkPath(path)], options);
      if (result.exit === EXIT.notThere) return null;
      const entries = parseList(result.stdout);
      if (entries !== null) return entries;
    }
    throw new LatchkeyError('folder_busy', `${path} changes faster than it can be listed`);
  }

  async realPath(path: string): Promise<string | null> {
    const result = await this.#script(scripts.REAL_PATH, path, [checkPath(path)], { answers: [EXIT.notThere] });
    return result.exit === EXIT.notThere ? null : result.stdout.toString('utf8').replace(/\n$/, '');
  }

  async treeDigest(path: string): Promise<Map<string, FileDigest> | null> {
    const options = { maxBytes: LIST_MAX_BYTES, answers: [EXIT.notThere], timeoutMs: UPLOAD_TIMEOUT_MS };
    const result = await this.#script(scripts.DIGEST, path, [checkPath(path)], options);
    return result.exit === EXIT.notThere ? null : parseDigest(result.stdout);
  }

  async writeFileAtomic(path: string, data: Buffer, owner: Ownership): Promise<void> {
    await this.#script(scripts.WRITE, path, this.#newFile(path, data, owner), { input: data });
  }

  async createFileExclusive(path: string, data: Buffer, owner: Ownership): Promise<boolean> {
    const options = { input: data, answers: [EXIT.exists] };
    const result = await this.#script(scripts.CREATE, path, this.#newFile(path, data, owner), options);
    return result.exit === 0;
  }

  #newFile(path: string, data: Buffer, owner: Ownership): string[] {
    const { folder, name } = splitPath(path);
    return [folder, name, temporaryName(name), String(data.length), ...ownership(owner)];
  }

  async appendLine(path: string, line: string, options: { guard?: AppendGuard } = {}): Promise<void> {
    const { folder, name } = splitPath(path);
    const holds = options.guard?.holds ?? '';
    if (/[\n\0]/.test(line + holds)) throw new TypeError('a line must not hold a line break or NUL');
    const guard = options.guard === undefined ? '' : checkPath(options.guard.path);
    await this.#script(scripts.APPEND, path, [folder, name, guard], { input: Buffer.from(`${holds}\n${line}\n`) });
  }

  async makeDirectory(path: string, owner: Ownership): Promise<boolean> {
    const { folder, name } = splitPath(path);
    const values = [folder, name, temporaryName(name), ...ownership(owner)];
    const result = await this.#script(scripts.MAKE_DIRECTORY, path, values, { answers: [EXIT.exists] });
    return result.exit === 0;
  }

  async rename(from: string, to: string): Promise<void> {
    const source = splitPath(from);
    const goal = splitPath(to);
    await this.#script(scripts.RENAME, from, [source.folder, source.name, goal.folder, goal.name]);
  }

  async remove(path: string): Promise<void> {
    const { folder, name } = splitPath(path);
    await this.#script(scripts.REMOVE, path, [folder, name], { answers: [EXIT.notThere] });
  }

  async removeTree(path: string, options: { named: string }): Promise<void> {
    const { folder, name } = splitPath(path);
    if (name !== options.named || path.split('/').length < 4) {
      throw new TypeError('a tree is removed only by its name and at least three levels deep');
    }
    const settings = { answers: [EXIT.notThere], timeoutMs: UPLOAD_TIMEOUT_MS };
    await this.#script(scripts.REMOVE_TREE, path, [folder, name], settings);
  }

  async uploadTree(path: string, files: readonly TreeFile[], owner: Ownership): Promise<void> {
    const { folder, name } = splitPath(path);
    await this.#script(scripts.UPLOAD_TREE, path, [folder, name, temporaryName(name), ...ownership(owner)], {
      input: packTree(files, owner.mode),
      timeoutMs: UPLOAD_TIMEOUT_MS,
    });
  }

  holdWhileRunning(path: string | null): void {
    this.#held = path === null ? null : checkPath(path);
  }

  async waitUntilIdle(path: string, timeoutMs: number): Promise<boolean> {
    const seconds = String(Math.ceil(timeoutMs / 1000));
    const options = { answers: [EXIT.busy], timeoutMs: timeoutMs + RUN_TIMEOUT_MS };
    const held = this.#held;
    this.#held = null; // or it would wait for itself
    const waiting = this.#script(scripts.IDLE, path, [checkPath(path), seconds], options);
    this.#held = held;
    return (await waiting).exit === 0;
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#parts.close();
  }

  async #script(
    text: string,
    path: string,
    values: readonly string[],
    options: { input?: Buffer; timeoutMs?: number; maxBytes?: number; answers?: readonly number[] } = {},
  ): Promise<RunResult> {
    const { answers = [], ...rest } = options;
    const result = await this.run(['sh', '-c', text, 'sh', ...values], rest);
    if (result.exit === 0 || answers.includes(result.exit)) return result;
    throw failure(result.exit, path, result.stderr);
  }
}

/** Beside what it becomes, hidden from listings and from Nextcloud's search for apps. */
function temporaryName(name: string): string {
  return `.${name.slice(0, 200)}.latchkey-${randomBytes(6).toString('hex')}`;
}

function ownership(owner: Ownership): [string, string] {
  const whole = [owner.mode, owner.uid, owner.gid].every((value) => Number.isInteger(value) && value >= 0);
  if (!whole || owner.mode > 0o7777) throw new TypeError('an owner is a mode and two numeric ids');
  return [owner.mode.toString(8), `${owner.uid}:${owner.gid}`];
}

const KNOWN_FAILURES: Readonly<Record<number, readonly [code: string, words: string]>> = {
  [EXIT.notThere]: ['path_missing', 'is not there'],
  [EXIT.exists]: ['path_exists', 'is there already'],
  [EXIT.wrongKind]: ['wrong_kind', 'is something else than what is needed there'],
  [EXIT.cutShort]: ['transfer_cut', 'was not changed: its content did not arrive whole'],
  [EXIT.lockLost]: ['lock_lost', 'was not changed: another writer has taken the lock'],
  [EXIT.mountedInside]: ['mounted_inside', 'is not removed: something is mounted there'],
  [EXIT.tooLarge]: ['file_too_large', 'is larger than what is read of it'],
  [EXIT.moved]: ['path_moved', 'moved while it was being made'],
};

const SYSTEM_WORDS: readonly (readonly [text: string, code: string, words: string])[] = [
  ['No space left on device', 'disk_full', 'could not be written: the disk is full'],
  ['Disk quota exceeded', 'disk_full', 'could not be written: the quota is used up'],
  ['Read-only file system', 'read_only', 'is on a read-only file system'],
  ['Permission denied', 'permission_denied', 'may not be used by this user'],
  ['Operation not permitted', 'permission_denied', 'may not be changed by this user'],
  ['Directory not empty', 'not_empty', 'is not empty'],
];

/** The script's own exit code, or what the tools complained about, in our words; their text is kept for the log only. */
function failure(exit: number, path: string, stderr: string): LatchkeyError {
  const known = KNOWN_FAILURES[exit];
  if (known !== undefined) return new LatchkeyError(known[0], `${path} ${known[1]}`);
  const heard = SYSTEM_WORDS.find(([text]) => stderr.includes(text));
  const [code, words] = heard === undefined ? ['target_failed', 'could not be handled'] : [heard[1], heard[2]];
  const options = { extra: { exit, stderr: stderr.slice(-4096) } };
  return new LatchkeyError(
    code,
    `${path} ${words}`,
    code === 'permission_denied' ? { ...options, hint: 'use --sudo' } : options,
  );
}
