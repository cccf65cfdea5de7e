import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { placeFiles } from '../../wireguard/node/place-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-place-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('placeFiles()', () => {
  const unit = (name: string, text = 'Description=Latchkey: new\n') => ({ path: join(folder, name), text });

  it('leaves what somebody else wrote, and all others with it', () => {
    writeFileSync(join(folder, 'b.timer'), 'Description=mine\n');
    expect(() => placeFiles([unit('a.service'), unit('b.timer')])).toThrow('is there already, and not of this');
    expect(readdirSync(folder)).toEqual(['b.timer']);
    expect(readFileSync(join(folder, 'b.timer'), 'utf8')).toBe('Description=mine\n');
  });
  it('does not write below a file', () => {
    writeFileSync(join(folder, 'plain'), '');
    expect(() => placeFiles([unit('plain/a.service')])).toThrow('could not be made (EEXIST)');
  });
  it('writes each for all to read, over what was ours before', () => {
    writeFileSync(join(folder, 'a.service'), 'Description=Latchkey: old\n', { mode: 0o600 });
    placeFiles([unit('a.service'), unit('new/b.timer')]);
    for (const name of ['a.service', 'new/b.timer']) {
      expect(readFileSync(join(folder, name), 'utf8')).toBe('Description=Latchkey: new\n');
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o644);
    }
  });
});
