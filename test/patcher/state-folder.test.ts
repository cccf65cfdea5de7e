import { beforeEach, describe, expect, test } from 'vitest';
import { removeStateFolder } from '../../patcher/keys/state-folder.ts';
import { MemoryMachine, MemoryTransport } from './memory-transport.ts';

const FOLDER = '/srv/keys';
const www = { mode: 0o600, uid: 33, gid: 33 };

describe('removeStateFolder()', () => {
  let machine: MemoryMachine;
  const remove = () => removeStateFolder(new MemoryTransport(machine), FOLDER);
  const put = (name: string) => machine.put(`${FOLDER}/${name}`, Buffer.from('x'), www);

  beforeEach(() => {
    machine = new MemoryMachine();
    machine.put(FOLDER, null, { mode: 0o700, uid: 33, gid: 33 });
    machine.put('/srv/other', Buffer.from('x'));
  });

  test('takes the lock, the marker and half-written files too, wherever the folder lies', async () => {
    for (const name of ['client.json', 'link.json', 'ca.pem', 'lock', 'purge', '.link.json.77.new']) put(name);
    expect(await remove()).toEqual([]);
    expect([machine.nodes.has(FOLDER), machine.below('/srv')]).toEqual([false, ['/srv/other']]);
  });

  test("leaves what is not the app's, and says so", async () => {
    for (const name of ['lock', 'notes.txt', 'client.json.bak']) put(name);
    machine.put(`${FOLDER}/purge`, null);
    expect((await remove()).sort()).toEqual(['client.json.bak', 'notes.txt', 'purge']);
    expect(machine.below(FOLDER).sort()).toEqual(
      ['client.json.bak', 'notes.txt', 'purge'].map((n) => `${FOLDER}/${n}`),
    );
  });

  test('a folder that is not there is no error', async () => {
    machine.nodes.delete(FOLDER);
    expect(await remove()).toEqual([]);
  });
});
