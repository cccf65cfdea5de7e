import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isOneMachine, machineIdHere, machineName } from '../../patcher/machine-name.ts';

const ID = '0123456789abcdef0123456789abcdef';

test('two machines of one name are told apart', () => {
  expect(machineName('debian', `${ID}\n`)).toMatch(/^debian-[0-9a-f]{8}$/);
  expect(machineName('debian', ID)).not.toBe(machineName('debian', ID.replace('0', '1')));
});

test('a machine is called the same each time', () => {
  expect(machineName('debian', `${ID}\n`)).toBe(machineName('debian', ID));
});

test('the id itself is not told', () => {
  const [, shown = ''] = machineName('debian', ID).split('-');
  expect(ID).not.toContain(shown);
});

test.each([null, '', 'uninitialized\n', 'not an id'])('without an id (%j) the host name must do', (id) => {
  expect(machineName('debian', id)).toBe('debian');
});

test('only the name of one with an id is no other’s', () => {
  expect(isOneMachine(machineName('debian', ID))).toBe(true);
  expect(['debian', 'MacBook-Pro.local', 'node-0123456', 'a-01234567.local'].filter(isOneMachine)).toEqual([]);
});

test.each<[string, string, boolean]>([
  ['has the id of its hardware', '"IOPlatformUUID" = "01234567-89AB-CDEF-0123-456789ABCDEF"', true],
  ['that tells none has none', '"IOPlatformSerialNumber" = "C02"', false],
])('a Mac %s', async (_, told, hasId) => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-machine-'));
  try {
    const ioreg = join(folder, 'ioreg');
    writeFileSync(ioreg, `#!/bin/sh\nprintf '+-o J316sAP\\n    {\\n      %s\\n    }\\n' '${told}'\n`, { mode: 0o755 });
    const id = await machineIdHere('darwin', ioreg);
    expect(id).toBe(hasId ? ID : null);
    expect(isOneMachine(machineName('studio.local', id))).toBe(hasId);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a Mac that cannot be asked has no id', async () => {
  expect(await machineIdHere('darwin', '/nonexistent/ioreg')).toBeNull();
});
