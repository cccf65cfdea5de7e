import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Transport } from '../../patcher/transports/transport.ts';
import { sha256 } from '../../platform/encoding.ts';

/** What every transport must do, told once and run against each of them. `open` acts as a user who may write `folder`. */
export function transportContract(open: (folder: string) => Promise<Transport>): void {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'latchkey-transport-')));
  let transport: Transport;
  let at: string;
  let count = 0;
  const owner = (mode: number) => ({ mode, uid: transport.user.uid, gid: transport.user.gid });

  beforeAll(async () => {
    chmodSync(base, 0o777);
    transport = await open(base);
  });
  afterAll(async () => {
    await transport.close();
    rmSync(base, { recursive: true });
  });
  beforeEach(() => {
    at = join(base, `case ${count++} 'quoted'`);
    mkdirSync(at);
    chmodSync(at, 0o777);
  });
  /** Hands what the test has put there to the user who acts, when the test itself is root. */
  const handOver = (...names: string[]) => {
    if (process.getuid?.() !== 0) return;
    for (const name of names) lchownSync(join(at, name), transport.user.uid, transport.user.gid);
  };
  const code = (word: string) => expect.objectContaining({ code: word });

  test('run() hands over words and stdin unchanged and answers any exit status', async () => {
    const words = ["it's", '$HOME', 'a\nb', '', '-n', '"\\'];
    const shown = await transport.run(['printf', '%s|', ...words]);
    expect(shown.stdout.toString()).toBe(words.map((word) => `${word}|`).join(''));
    const input = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 251));
    const echoed = await transport.run(['cat'], { input });
    expect(echoed.stdout.equals(input)).toBe(true);
    const failed = await transport.run(['sh', '-c', 'echo oops >&2; exit 7']);
    expect([failed.exit, failed.stderr, failed.stdout.length]).toEqual([7, 'oops\n', 0]);
    expect((await transport.run(['there-is-no-such-program'])).exit).toBe(127);
  });

  test('run() without input has an empty stdin', async () => {
    expect((await transport.run(['cat'])).stdout.length).toBe(0);
  });

  test('run() ends a program that is too slow or too loud', async () => {
    await expect(transport.run(['sleep', '60'], { timeoutMs: 200 })).rejects.toEqual(code('command_timeout'));
    await expect(transport.run(['cat', '/dev/zero'], { maxBytes: 10_000 })).rejects.toEqual(code('command_too_loud'));
    expect((await transport.run(['true'])).exit).toBe(0);
  });

  test('run() leaves nothing at work of a program that was too slow', async () => {
    const pids = join(at, 'pids');
    const script = 'sleep 600 & echo $! >"$1"; echo $$ >>"$1"; wait';
    await expect(transport.run(['sh', '-c', script, 'sh', pids], { timeoutMs: 900 })).rejects.toEqual(
      code('command_timeout'),
    );
    const left = () => readFileSync(pids, 'utf8').trim().split('\n').filter(isAtWork);
    await expect.poll(left, { timeout: 10_000 }).toEqual([]); // ended at once, and gone soon
  });

  test('several programs run at once, more than a server gives sessions', async () => {
    const runs = Array.from({ length: 25 }, (_, index) => transport.run(['sh', '-c', `sleep 0.05; echo ${index}`]));
    const answers = await Promise.all(runs);
    expect(answers.map((answer) => answer.stdout.toString())).toEqual(answers.map((_, index) => `${index}\n`));
  });

  test('what is not there is null', async () => {
    for (const path of [join(at, 'no'), join(at, 'no', 'deeper')]) {
      expect(await transport.readFile(path, { max: 10 })).toBeNull();
      expect(await transport.stat(path)).toBeNull();
      expect(await transport.list(path)).toBeNull();
      expect(await transport.realPath(path)).toBeNull();
      expect(await transport.treeDigest(path)).toBeNull();
    }
  });

  test('readFile() gives the bytes, and refuses more than was asked for', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    writeFileSync(join(at, 'f'), bytes);
    expect((await transport.readFile(join(at, 'f'), { max: 256 }))?.equals(bytes)).toBe(true);
    await expect(transport.readFile(join(at, 'f'), { max: 255 })).rejects.toEqual(code('file_too_large'));
    await expect(transport.readFile(at, { max: 255 })).rejects.toEqual(code('wrong_kind'));
    // what the machine says of it is longer than the file may be
    await expect(transport.readFile(join(at, 'n'.repeat(300)), { max: 1 })).rejects.toEqual(code('target_failed'));
  });

  test('stat() and list() tell kind, mode, owner and size, also of names that bite', async () => {
    writeFileSync(join(at, 'a\nb'), 'xyz', { mode: 0o640 });
    mkdirSync(join(at, '-rf *'));
    symlinkSync('/nowhere', join(at, 'link'));
    chmodSync(join(at, 'a\nb'), 0o640);
    const real = lstatSync(join(at, 'a\nb'));
    expect(await transport.stat(join(at, 'a\nb'))).toMatchObject({ kind: 'file', mode: 0o640, size: 3, uid: real.uid });
    const entries = await transport.list(at);
    expect(entries?.map((entry) => [entry.name, entry.kind])).toEqual([
      ['-rf *', 'directory'],
      ['a\nb', 'file'],
      ['link', 'symlink'],
    ]);
    expect(await transport.list(join(at, '-rf *'))).toEqual([]);
  });

  test('realPath() follows links', async () => {
    symlinkSync(at, join(at, 'self'));
    expect(await transport.realPath(join(at, 'self'))).toBe(at);
    symlinkSync('/nowhere', join(at, 'dangling'));
    expect(await transport.realPath(join(at, 'dangling'))).toBeNull();
  });

  test('writeFileAtomic() sets content, mode and owner and leaves nothing beside', async () => {
    const data = Buffer.from("a\0b\n'".repeat(50_000));
    await transport.writeFileAtomic(join(at, 'new'), data, owner(0o640));
    expect(readFileSync(join(at, 'new')).equals(data)).toBe(true);
    expect(statSync(join(at, 'new')).mode & 0o7777).toBe(0o640);
    expect(statSync(join(at, 'new')).uid).toBe(transport.user.uid);
    await transport.writeFileAtomic(join(at, 'new'), Buffer.alloc(0), owner(0o600));
    expect(readFileSync(join(at, 'new')).length).toBe(0);
    expect(readdirSync(at)).toEqual(['new']);
  });

  test('writeFileAtomic() replaces a symlink and refuses a folder or a missing one', async () => {
    writeFileSync(join(at, 'victim'), 'untouched');
    symlinkSync(join(at, 'victim'), join(at, 'link'));
    await transport.writeFileAtomic(join(at, 'link'), Buffer.from('new'), owner(0o600));
    expect(readFileSync(join(at, 'victim'), 'utf8')).toBe('untouched');
    expect(lstatSync(join(at, 'link')).isSymbolicLink()).toBe(false);
    mkdirSync(join(at, 'folder'));
    await expect(transport.writeFileAtomic(join(at, 'folder'), Buffer.from('x'), owner(0o600))).rejects.toEqual(
      code('wrong_kind'),
    );
    await expect(transport.writeFileAtomic(join(at, 'no', 'x'), Buffer.from('x'), owner(0o600))).rejects.toEqual(
      code('path_missing'),
    );
    expect(readdirSync(at).sort()).toEqual(['folder', 'link', 'victim']);
  });

  test('createFileExclusive() makes a file once', async () => {
    expect(await transport.createFileExclusive(join(at, 'lock'), Buffer.from('one'), owner(0o600))).toBe(true);
    expect(await transport.createFileExclusive(join(at, 'lock'), Buffer.from('two'), owner(0o600))).toBe(false);
    symlinkSync('/nowhere', join(at, 'link'));
    expect(await transport.createFileExclusive(join(at, 'link'), Buffer.from('two'), owner(0o600))).toBe(false);
    expect(readFileSync(join(at, 'lock'), 'utf8')).toBe('one');
    expect(readdirSync(at).sort()).toEqual(['link', 'lock']);
  });

  test('only one of many who create the same file at once succeeds', async () => {
    const tries = Array.from({ length: 12 }, (_, index) =>
      transport.createFileExclusive(join(at, 'lock'), Buffer.from(String(index)), owner(0o600)),
    );
    const won = await Promise.all(tries);
    expect(won.filter((made) => made)).toHaveLength(1);
    expect(readFileSync(join(at, 'lock'), 'utf8')).toBe(String(won.indexOf(true)));
  });

  test('appendLine() appends under its guard only, and never to half a line', async () => {
    const path = join(at, 'journal');
    writeFileSync(join(at, 'lock'), '{"me":1}\n');
    const guard = { path: join(at, 'lock'), holds: '{"me":1}' };
    await transport.appendLine(path, '{"a":"\\\\ %s $x"}', { guard });
    await transport.appendLine(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('{"a":"\\\\ %s $x"}\ntwo\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const holds of ['{"me":2}', '', '{"me":1']) {
      await expect(transport.appendLine(path, 'no', { guard: { ...guard, holds } })).rejects.toEqual(code('lock_lost'));
    }
    rmSync(join(at, 'lock'));
    await expect(transport.appendLine(path, 'no', { guard })).rejects.toEqual(code('lock_lost'));
    expect(readFileSync(path, 'utf8')).not.toContain('no');
    await transport.writeFileAtomic(join(at, 'torn'), Buffer.from('one\n{"ha'), owner(0o600));
    await transport.appendLine(join(at, 'torn'), 'two');
    expect(readFileSync(join(at, 'torn'), 'utf8')).toBe('one\n{"ha\ntwo\n');
  });

  test('makeDirectory() by many at once makes one folder, and is never told that it is something else', async () => {
    const path = join(at, 'd');
    const made = await Promise.all(Array.from({ length: 8 }, () => transport.makeDirectory(path, owner(0o750))));
    expect(made).toContain(true);
    expect(readdirSync(at)).toEqual(['d']);
    expect(readdirSync(path)).toEqual([]);
  });

  test('makeDirectory() makes one level and says when it was there', async () => {
    expect(await transport.makeDirectory(join(at, 'd'), owner(0o750))).toBe(true);
    expect(statSync(join(at, 'd')).mode & 0o7777).toBe(0o750);
    expect(await transport.makeDirectory(join(at, 'd'), owner(0o700))).toBe(false);
    expect(statSync(join(at, 'd')).mode & 0o7777).toBe(0o750);
    await expect(transport.makeDirectory(join(at, 'x', 'y'), owner(0o700))).rejects.toEqual(code('path_missing'));
    writeFileSync(join(at, 'f'), '');
    await expect(transport.makeDirectory(join(at, 'f'), owner(0o700))).rejects.toEqual(code('wrong_kind'));
    expect(readdirSync(at).sort()).toEqual(['d', 'f']);
  });

  test('rename() moves files and folders and never over or into something', async () => {
    mkdirSync(join(at, 'd'));
    writeFileSync(join(at, 'f'), 'f');
    handOver('d', 'f');
    await expect(transport.rename(join(at, 'f'), join(at, 'd'))).rejects.toEqual(code('path_exists'));
    await expect(transport.rename(join(at, 'no'), join(at, 'x'))).rejects.toEqual(code('path_missing'));
    expect(readdirSync(join(at, 'd'))).toEqual([]);
    await transport.rename(join(at, 'f'), join(at, 'd', 'g'));
    await transport.rename(join(at, 'd'), join(at, 'e'));
    expect(readFileSync(join(at, 'e', 'g'), 'utf8')).toBe('f');
  });

  test('remove() takes files, links and empty folders, and nothing full', async () => {
    mkdirSync(join(at, 'full'));
    writeFileSync(join(at, 'full', 'x'), '');
    symlinkSync(join(at, 'full'), join(at, 'link'));
    handOver('full');
    await transport.remove(join(at, 'link'));
    await expect(transport.remove(join(at, 'full'))).rejects.toEqual(code('not_empty'));
    await transport.remove(join(at, 'full', 'x'));
    await transport.remove(join(at, 'full'));
    await transport.remove(join(at, 'full'));
    await transport.remove(join(at, 'no', 'deeper'));
    expect(readdirSync(at)).toEqual([]);
  });

  test('removeTree() takes the named folder only, and does not follow links out of it', async () => {
    mkdirSync(join(at, 'keep'));
    writeFileSync(join(at, 'keep', 'x'), '');
    mkdirSync(join(at, 'tree'));
    symlinkSync(join(at, 'keep'), join(at, 'tree', 'out'));
    symlinkSync(join(at, 'keep'), join(at, 'alias'));
    handOver('keep', 'tree');
    await expect(transport.removeTree(join(at, 'tree'), { named: 'other' })).rejects.toThrow(TypeError);
    await expect(transport.removeTree('/a/b', { named: 'b' })).rejects.toThrow(TypeError);
    await expect(transport.removeTree(join(at, 'alias'), { named: 'alias' })).rejects.toEqual(code('wrong_kind'));
    await transport.removeTree(join(at, 'tree'), { named: 'tree' });
    await transport.removeTree(join(at, 'tree'), { named: 'tree' });
    expect(readdirSync(at).sort()).toEqual(['alias', 'keep']);
    expect(existsSync(join(at, 'keep', 'x'))).toBe(true);
  });

  test('uploadTree() puts a whole tree there, which treeDigest() then shows', async () => {
    const files = [
      { path: 'appinfo/info.xml', data: Buffer.from('<info/>'), mode: 0o644 },
      { path: 'bin/heartbeat', data: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
      { path: `${'deep/'.repeat(25)}file`, data: Buffer.alloc(100_000, 'x'), mode: 0o640 },
      { path: 'empty file', data: Buffer.alloc(0), mode: 0o600 },
    ];
    await transport.uploadTree(join(at, 'app'), files, owner(0o750));
    for (const file of files) {
      expect(readFileSync(join(at, 'app', file.path)).equals(file.data)).toBe(true);
      expect(statSync(join(at, 'app', file.path)).mode & 0o7777).toBe(file.mode);
      expect(statSync(join(at, 'app', file.path)).uid).toBe(transport.user.uid);
    }
    expect(statSync(join(at, 'app')).mode & 0o7777).toBe(0o750);
    symlinkSync('/nowhere', join(at, 'app', 'planted'));
    const digest = await transport.treeDigest(join(at, 'app'));
    expect([...(digest?.keys() ?? [])].sort()).toEqual([...files.map((file) => file.path), 'planted'].sort());
    expect(digest?.get('planted')?.sha256).toBe('');
    expect(digest?.get('bin/heartbeat')).toEqual({
      mode: 0o755,
      sha256: sha256('#!/bin/sh\n').toString('hex'),
    });
    await expect(transport.uploadTree(join(at, 'app'), files, owner(0o750))).rejects.toEqual(code('path_exists'));
    expect(readdirSync(at)).toEqual(['app']);
  });

  test('treeDigest() of an empty folder is empty', async () => {
    expect(await transport.treeDigest(at)).toEqual(new Map());
  });

  test('paths that are not plain are a defect of the caller', async () => {
    for (const path of ['relative', '/a/../b', '/a/./b', '/a//b', '/a/', '/', '', '/a\0b']) {
      await expect(transport.stat(path)).rejects.toThrow(TypeError);
      await expect(transport.remove(path)).rejects.toThrow(TypeError);
      await expect(transport.writeFileAtomic(path, Buffer.alloc(1), owner(0o600))).rejects.toThrow(TypeError);
    }
  });
}

/** Whether a process of this machine is there and no zombie. */
function isAtWork(pid: string): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) Z /.test(readFileSync(path, 'utf8'));
}
