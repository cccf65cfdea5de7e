import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Action, Originals } from '../../../patcher/actions/action.ts';
import { changeCoreFile } from '../../../patcher/actions/patch-file.ts';
import { writeFileUndoer } from '../../../patcher/actions/write-file.ts';
import { patchFile, sha512 } from '../../../patcher/hooks/file-patch.ts';
import { type HookDefinition, readHook } from '../../../patcher/hooks/hook-definition.ts';
import type { RunPhp } from '../../../patcher/targets/target.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { hasProgram } from '../../harness/programs.ts';

let hook: HookDefinition;
let transport: Transport;
let folder: string;
let path: string;
let stock: Buffer;

beforeAll(async () => {
  hook = await readHook('core');
  transport = await openLocalTransport({ prompter: null });
});
afterAll(() => transport.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-core-file-'));
  path = join(folder, 'Server.php');
  put(['<?php', ...(hook.patches[1]?.context ?? []), '']);
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(lines: readonly string[]): void {
  stock = Buffer.from(lines.join('\n'));
  writeFileSync(path, stock);
  chmodSync(path, 0o640);
}

const runPhp: RunPhp = (args, options) => transport.run(['php', ...args], options);
const context = () => ({ transport, machine: transport, occ: null });
const order = (before: Buffer, want: 'hook' | 'stock'): Action => {
  const hooked = patchFile(hook, stock, 33);
  const after = sha512(want === 'hook' ? hooked : stock);
  return changeCoreFile({ path, before: [sha512(before)], after, major: 33, want }, want === 'hook' ? runPhp : null);
};

/** Kept in memory: where the journal keeps them is its own matter. */
function originals(): Originals {
  const kept = new Map<string, Buffer>();
  return {
    transaction: 'test',
    save: async (name, data) => String(kept.set(name, data) && name),
    load: async (name) => kept.get(name) ?? Buffer.alloc(0),
  };
}

describe('changeCoreFile()', () => {
  it('refuses a file that is not what the plan saw, and changes nothing', async () => {
    const action = order(stock, 'hook');
    const other = Buffer.concat([stock, Buffer.from('// other\n')]);
    writeFileSync(path, other);
    await expect(action.prepare(context(), originals())).rejects.toMatchObject({ code: 'core_file_changed', exit: 3 });
    await expect(action.diff(context())).rejects.toMatchObject({ code: 'core_file_changed' });
    expect(readFileSync(path)).toEqual(other);
  });

  it('refuses a file that is gone, and a link in its place', async () => {
    const action = order(stock, 'hook');
    rmSync(path);
    await expect(action.prepare(context(), originals())).rejects.toMatchObject({ code: 'core_file_missing' });
    await transport.run(['ln', '-s', '/etc/passwd', path]);
    await expect(action.prepare(context(), originals())).rejects.toMatchObject({ code: 'wrong_kind' });
  });

  it.runIf(hasProgram('php'))('refuses what PHP does not read, and leaves the file as it was', async () => {
    put(['<?php', ...(hook.patches[1]?.context ?? []), 'this is not php', '']);
    const action = order(stock, 'hook');
    const undo = await action.prepare(context(), originals());
    await expect(action.do(context(), undo ?? {})).rejects.toMatchObject({ code: 'patched_file_broken' });
    expect(readFileSync(path)).toEqual(stock);
    expect(readdirSync(folder)).toEqual(['Server.php']);
  });

  it.runIf(hasProgram('php'))('puts the hook in, keeps mode and owner, and is undone to the byte', async () => {
    const [action, kept] = [order(stock, 'hook'), originals()];
    expect(await action.diff(context())).toContain('+\t\t// latchkey end');
    expect(readFileSync(path)).toEqual(stock);
    const undo = (await action.prepare(context(), kept)) ?? {};
    await action.do(context(), undo);
    await action.do(context(), undo); // as after a cut
    expect(readFileSync(path)).toEqual(patchFile(hook, stock, 33));
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(await order(stock, 'hook').prepare(context(), originals())).toBeNull();
    expect(await writeFileUndoer.undo(context(), undo, kept)).toBeNull();
    expect(readFileSync(path)).toEqual(stock);
    expect(readdirSync(folder)).toEqual(['Server.php']);
  });

  it('takes the hook out to what the vendor signed', async () => {
    const hooked = patchFile(hook, stock, 33);
    writeFileSync(path, hooked);
    const action = order(hooked, 'stock');
    await action.do(context(), (await action.prepare(context(), originals())) ?? {});
    expect(readFileSync(path)).toEqual(stock);
  });
});
