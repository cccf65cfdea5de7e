import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aloneHere } from '../../../patcher/setup/desk-lock.ts';

describe('the lock of a desk', () => {
  let folder: string;
  let lock: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lk-desk-lock-'));
    lock = join(folder, 'lock');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const work = (): Promise<string> => Promise.resolve('in');

  it.each<[string, () => void]>([
    ['leads to itself', () => symlinkSync(lock, lock)],
    ['is a folder', () => mkdirSync(lock)],
  ])('that cannot be read, as it %s, is somebody’s', async (_, spoil) => {
    spoil();
    await expect(aloneHere(lock, work)).rejects.toMatchObject({ code: 'setup_running', exit: 3 });
    expect(lstatSync(lock).isFile()).toBe(false);
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  // root reads everything
  it.runIf(process.getuid?.() !== 0)('that may not be read is somebody’s', async () => {
    writeFileSync(lock, '4194305\n');
    chmodSync(lock, 0o000);
    await expect(aloneHere(lock, work)).rejects.toMatchObject({ code: 'setup_running', exit: 3 });
    expect(existsSync(lock)).toBe(true);
  });

  it.each(['4194305\n', ''])('that says %j is nobody’s any more', async (text) => {
    writeFileSync(lock, text);
    expect(await aloneHere(lock, work)).toBe('in');
    expect(readdirSync(folder)).toEqual([]);
  });
});
