import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setMode, setModeUndoer } from '../../patcher/actions/set-mode.ts';
import { openLocalTransport } from '../../patcher/transports/local-transport.ts';
import type { Transport } from '../../patcher/transports/transport.ts';

let folder: string;
let file: string;
let transport: Transport;
const owner = userInfo().username;
const originals = {
  transaction: 't',
  save: () => Promise.reject(new Error('content must not be kept')),
  load: () => Promise.reject(new Error('content must not be read')),
};
const context = () => ({ transport, machine: transport, occ: null });
const mode = (path: string): number => statSync(path).mode & 0o7777;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-set-mode-'));
  file = join(folder, 'client.json');
  writeFileSync(file, 'secret');
  chmodSync(file, 0o644);
  transport = await openLocalTransport({ prompter: null });
});
afterEach(() => rmSync(folder, { recursive: true }));

test('refuses a link, whatever it leads to', async () => {
  const link = join(folder, 'link');
  symlinkSync(file, link);
  await expect(setMode({ path: link, mode: 0o600, owner }).prepare(context(), originals)).rejects.toMatchObject({
    code: 'wrong_kind',
  });
  expect(mode(file)).toBe(0o644);
});

test('refuses what belongs to another, and what is not there', async () => {
  const other = setMode({ path: file, mode: 0o600, owner: 'somebody-else' });
  await expect(other.prepare(context(), originals)).rejects.toMatchObject({ code: 'wrong_kind' });
  const missing = setMode({ path: join(folder, 'nothing'), mode: 0o600, owner });
  await expect(missing.prepare(context(), originals)).rejects.toMatchObject({ code: 'wrong_kind' });
});

test('has nothing to do where the mode is as wanted', async () => {
  chmodSync(file, 0o600);
  const action = setMode({ path: file, mode: 0o600, owner });
  expect(await action.prepare(context(), originals)).toBeNull();
  expect(await action.diff(context())).toBe('');
});

test('changes the mode and nothing else, tells so before, and puts it back', async () => {
  const action = setMode({ path: file, mode: 0o600, owner });
  expect(await action.diff(context())).toBe(`mode of ${file}: 644 becomes 600\n`);
  const undo = await action.prepare(context(), originals);
  if (undo === null) throw new Error('there is something to do');
  expect(mode(file)).toBe(0o644);
  await action.do(context(), undo);
  await action.do(context(), undo);
  expect(mode(file)).toBe(0o600);
  expect(await setModeUndoer.undo(context(), undo, originals)).toBeNull();
  expect(await setModeUndoer.undo(context(), undo, originals)).toBeNull();
  expect(mode(file)).toBe(0o644);
});

test('leaves alone what somebody else has changed meanwhile', async () => {
  const action = setMode({ path: file, mode: 0o600, owner });
  const undo = await action.prepare(context(), originals);
  if (undo === null) throw new Error('there is something to do');
  chmodSync(file, 0o400);
  expect(await setModeUndoer.undo(context(), undo, originals)).toMatch(/changed by somebody else/);
  expect(mode(file)).toBe(0o400);
  rmSync(file);
  expect(await setModeUndoer.undo(context(), undo, originals)).toMatch(/removed by somebody else/);
});
