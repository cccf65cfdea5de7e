import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSecretFile, readSecretFile, writeFileAtomic } from '../../platform/files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('createSecretFile()', () => {
  it('never overwrites', () => {
    const path = join(folder, 'key');
    writeFileSync(path, 'old');
    expect(() => createSecretFile(path, 'new')).toThrow(expect.objectContaining({ code: 'file_exists', exit: 3 }));
    expect(readFileSync(path, 'utf8')).toBe('old');
  });
  it('does not follow a link that somebody put there', () => {
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'key'));
    expect(() => createSecretFile(join(folder, 'key'), 'new')).toThrow(
      expect.objectContaining({ code: 'file_exists' }),
    );
    expect(readdirSync(folder)).toEqual(['key']);
  });
  it('makes a file for its owner alone', () => {
    createSecretFile(join(folder, 'key'), 'secret');
    expect(statSync(join(folder, 'key')).mode & 0o777).toBe(0o600);
  });
});

describe('readSecretFile()', () => {
  it.each([0o640, 0o604, 0o666, 0o620])('refuses mode %o with the command that mends it', (mode) => {
    const path = join(folder, 'key');
    writeFileSync(path, 'secret');
    chmodSync(path, mode);
    expect(() => readSecretFile(path)).toThrow(
      expect.objectContaining({ code: 'file_too_open', exit: 3, hint: `chmod 600 ${path}` }),
    );
  });
  it('refuses a folder, a missing file and one too large', () => {
    expect(() => readSecretFile(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'file_not_read' }));
    chmodSync(folder, 0o700);
    expect(() => readSecretFile(folder)).toThrow('is not a plain file');
    createSecretFile(join(folder, 'key'), '12345');
    expect(() => readSecretFile(join(folder, 'key'), { max: 4 })).toThrow('larger than 4 bytes');
  });
  it('names the folder that a new one lacks', () => {
    const hint = `make the folder ${join(folder, 'none')} first`;
    expect(() => createSecretFile(join(folder, 'none', 'key'), 'x')).toThrow(
      expect.objectContaining({ code: 'file_not_written', hint }),
    );
    expect(readdirSync(folder)).toEqual([]);
  });
  it('reads what was written', () => {
    createSecretFile(join(folder, 'key'), 'secret');
    expect(readSecretFile(join(folder, 'key')).toString()).toBe('secret');
  });
});

describe('writeFileAtomic()', () => {
  it('leaves the old content and no litter when it fails', () => {
    expect(() => writeFileAtomic(join(folder, 'none', 'file'), 'x', { mode: 0o600 })).toThrow(
      expect.objectContaining({ code: 'file_not_written' }),
    );
    writeFileSync(join(folder, 'here'), 'x');
    expect(() => writeFileAtomic(join(folder, 'here', 'file'), 'x', { mode: 0o600 })).toThrow(
      expect.objectContaining({ code: 'file_not_written' }),
    );
    expect(readdirSync(folder)).toEqual(['here']);
  });
  it('replaces content and mode', () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'old and long');
    writeFileAtomic(path, 'new', { mode: 0o640 });
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777, readdirSync(folder)]).toEqual([
      'new',
      0o640,
      ['file'],
    ]);
  });
});
