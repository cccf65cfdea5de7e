import {
  type AppendGuard,
  checkPath,
  type FileDigest,
  type FileEntry,
  type FileStat,
  type Ownership,
  type RunResult,
  splitPath,
  type Transport,
  type TreeFile,
} from '../../patcher/transports/transport.ts';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';

export interface MemoryNode extends Ownership {
  /** null: a folder. */
  readonly data: Buffer | null;
}

/** The line breaks at the `at`-th call: before it had an effect, after it had, or half-way where that can be. */
export interface Cut {
  readonly at: number;
  readonly when: 'before' | 'after' | 'middle';
}

/** A machine in memory, which outlives the transports that reach it. */
export class MemoryMachine {
  readonly nodes = new Map<string, MemoryNode>([['/', { data: null, mode: 0o755, uid: 0, gid: 0 }]]);
  /** Seconds since 1970. */
  clock = 1_700_000_000;
  readonly programs = new Map<string, (argv: readonly string[], input: string) => { exit: number; stdout?: string }>([
    ['date', () => ({ exit: 0, stdout: `${this.clock}\n` })],
  ]);

  put(
    path: string,
    data: Buffer | null,
    owner: Ownership = { mode: data === null ? 0o755 : 0o644, uid: 0, gid: 0 },
  ): void {
    const { folder } = splitPath(path);
    if (!this.nodes.has(folder)) this.put(folder, null);
    this.nodes.set(path, { ...owner, data });
  }

  below(path: string): string[] {
    return [...this.nodes.keys()].filter((name) => name.startsWith(`${path}/`));
  }

  /** All there is but what lies below `except`, to compare two moments. */
  snapshot(except: string): Record<string, string> {
    const entries = [...this.nodes].filter(([path]) => path !== except && !path.startsWith(`${except}/`));
    const shown = entries.map(([path, { data, mode, uid, gid }]): [string, string] => [
      path,
      `${mode.toString(8)} ${uid}:${gid} ${data === null ? 'folder' : data.toString('base64')}`,
    ]);
    return Object.fromEntries(shown.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** A fake with the promises of Transport, whose line can be cut at any call. */
export class MemoryTransport implements Transport {
  readonly label = 'memory';
  readonly user = { name: 'root', uid: 0, gid: 0 };
  readonly machine: MemoryMachine;
  calls = 0;
  readonly #cut: Cut | undefined;
  #lost = false;

  constructor(machine: MemoryMachine, cut?: Cut) {
    this.machine = machine;
    this.#cut = cut;
  }

  /** Counts a call and breaks the line where it is to break. */
  async #call<T>(effect: () => T, half?: () => void): Promise<T> {
    const here = this.calls++ === this.#cut?.at;
    if (this.#lost || (here && this.#cut?.when === 'before')) throw this.#lose();
    if (here && this.#cut?.when === 'middle') {
      half?.();
      throw this.#lose();
    }
    const result = effect();
    if (here) throw this.#lose();
    return result;
  }

  #lose(): LatchkeyError {
    this.#lost = true;
    return new LatchkeyError('connection_lost', 'the line was cut');
  }

  #fail(code: string): never {
    throw new LatchkeyError(code, code);
  }

  #folderOf(path: string): void {
    if (this.machine.nodes.get(splitPath(path).folder)?.data !== null) this.#fail('path_missing');
  }

  run(argv: readonly [string, ...string[]], options: { input?: Buffer | string } = {}): Promise<RunResult> {
    return this.#call(() => {
      const program = this.machine.programs.get(argv[0]);
      const { exit, stdout = '' } = program?.(argv.slice(1), String(options.input ?? '')) ?? { exit: 127 };
      return { exit, stdout: Buffer.from(stdout), stderr: '' };
    });
  }

  readFile(path: string, options: { max: number }): Promise<Buffer | null> {
    return this.#call(() => {
      const node = this.machine.nodes.get(checkPath(path));
      if (node === undefined) return null;
      if (node.data === null) return this.#fail('wrong_kind');
      return node.data.length > options.max ? this.#fail('file_too_large') : Buffer.from(node.data);
    });
  }

  #statOf(path: string): FileStat | null {
    const node = this.machine.nodes.get(checkPath(path));
    if (node === undefined) return null;
    const { data, mode, uid, gid } = node;
    const common = { mode, uid, gid, owner: 'x', group: 'x', size: data?.length ?? 0, mtime: this.machine.clock };
    return { kind: data === null ? 'directory' : 'file', ...common };
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#call(() => this.#statOf(path));
  }

  list(path: string): Promise<FileEntry[] | null> {
    return this.#call(() => {
      if (!this.machine.nodes.has(path)) return null;
      const names = this.machine.below(path).map((entry) => entry.slice(path.length + 1));
      const direct = names.filter((name) => !name.includes('/')).sort();
      return direct.flatMap((name) => {
        const stat = this.#statOf(`${path}/${name}`);
        return stat === null ? [] : [{ name, ...stat }];
      });
    });
  }

  realPath(path: string): Promise<string | null> {
    return this.#call(() => (this.machine.nodes.has(path) ? path : null));
  }

  treeDigest(path: string): Promise<Map<string, FileDigest> | null> {
    return this.#call(() => {
      if (!this.machine.nodes.has(path)) return null;
      const digest = new Map<string, FileDigest>();
      for (const name of this.machine.below(path)) {
        const node = this.machine.nodes.get(name);
        if (node?.data == null) continue;
        digest.set(name.slice(path.length + 1), { sha256: sha256(node.data).toString('hex'), mode: node.mode });
      }
      return digest;
    });
  }

  writeFileAtomic(path: string, data: Buffer, { mode, uid, gid }: Ownership): Promise<void> {
    return this.#call(() => {
      this.#folderOf(path);
      if (this.machine.nodes.get(path)?.data === null) this.#fail('wrong_kind');
      this.machine.put(path, Buffer.from(data), { mode, uid, gid });
    });
  }

  createFileExclusive(path: string, data: Buffer, { mode, uid, gid }: Ownership): Promise<boolean> {
    return this.#call(() => {
      this.#folderOf(path);
      if (this.machine.nodes.has(path)) return false;
      this.machine.put(path, Buffer.from(data), { mode, uid, gid });
      return true;
    });
  }

  appendLine(path: string, line: string, options: { guard?: AppendGuard } = {}): Promise<void> {
    const append = (text: string) => {
      this.#folderOf(path);
      const { guard } = options;
      const held = guard && this.machine.nodes.get(guard.path)?.data?.toString();
      if (guard !== undefined && held !== `${guard.holds}\n`) this.#fail('lock_lost');
      const before = this.machine.nodes.get(path)?.data?.toString() ?? '';
      const gap = before === '' || before.endsWith('\n') ? '' : '\n';
      this.machine.put(path, Buffer.from(before + gap + text), { mode: 0o600, uid: 0, gid: 0 });
    };
    // a full disk or a power cut may leave any part of a line
    return this.#call(
      () => append(`${line}\n`),
      () => append(line.slice(0, this.calls % line.length)),
    );
  }

  makeDirectory(path: string, { mode, uid, gid }: Ownership): Promise<boolean> {
    return this.#call(() => {
      this.#folderOf(path);
      const node = this.machine.nodes.get(path);
      if (node !== undefined) return node.data === null ? false : this.#fail('wrong_kind');
      this.machine.put(path, null, { mode, uid, gid });
      return true;
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(() => {
      if (!this.machine.nodes.has(from)) this.#fail('path_missing');
      if (this.machine.nodes.has(to)) this.#fail('path_exists');
      for (const name of [from, ...this.machine.below(from)]) {
        const node = this.machine.nodes.get(name);
        if (node !== undefined) this.machine.nodes.set(to + name.slice(from.length), node);
        this.machine.nodes.delete(name);
      }
    });
  }

  remove(path: string): Promise<void> {
    return this.#call(() => {
      if (this.machine.below(path).length > 0) this.#fail('not_empty');
      this.machine.nodes.delete(path);
    });
  }

  removeTree(path: string, options: { named: string }): Promise<void> {
    if (splitPath(path).name !== options.named || path.split('/').length < 4) throw new TypeError('not a named tree');
    const files = () => this.machine.below(path).filter((name) => this.machine.nodes.get(name)?.data !== null);
    return this.#call(
      () => {
        for (const name of [path, ...this.machine.below(path)]) this.machine.nodes.delete(name);
      },
      () => {
        for (const name of files().filter((_, index) => index % 2 === 0)) this.machine.nodes.delete(name);
      },
    );
  }

  uploadTree(path: string, files: readonly TreeFile[], { mode, uid, gid }: Ownership): Promise<void> {
    return this.#call(() => {
      this.#folderOf(path);
      if (this.machine.nodes.has(path)) this.#fail('path_exists');
      this.machine.put(path, null, { mode, uid, gid });
      for (const file of files) this.machine.put(`${path}/${file.path}`, file.data, { mode: file.mode, uid, gid });
    });
  }

  holdWhileRunning(): void {}

  waitUntilIdle(): Promise<boolean> {
    return this.#call(() => true);
  }

  async close(): Promise<void> {
    this.#lost = true;
  }
}
