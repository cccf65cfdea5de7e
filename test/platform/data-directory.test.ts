import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { assertModesCount, assertNewDirectory, createDataDirectory } from '../../platform/data-directory.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-data-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const refused = expect.objectContaining({
  code: 'system_unfit',
  exit: 3,
  hint: expect.stringContaining('WSL 2'),
});

describe('on Windows', () => {
  it('no data directory is made, and none is used', () => {
    vi.spyOn(process, 'platform', 'get').mockReturnValue('win32');
    for (const act of [createDataDirectory, assertNewDirectory])
      expect(() => act(join(folder, 'keys'))).toThrow(refused);
    expect(existsSync(join(folder, 'keys'))).toBe(false);
  });
  it.each(['linux', 'darwin'])('is not %s', (platform) => {
    expect(() => assertModesCount(platform)).not.toThrow();
  });
});
