import { describe, expect, test } from 'vitest';
import { writeFile } from '../../../patcher/actions/write-file.ts';
import { openJournal } from '../../../patcher/journal/journal.ts';
import { MemoryMachine, MemoryTransport } from '../memory-transport.ts';

const FILE = '/etc/x.conf';
const action = writeFile({ path: FILE, data: Buffer.from('new'), mode: 0o600, uid: 0, gid: 0 });
const moved = new Error('another revision');

/** A journal on ground that moves when it is asked for the n-th time whether it is steady. */
async function open(movesAt: number) {
  const machine = new MemoryMachine();
  machine.put('/var/lib/latchkey', null);
  machine.put('/etc', null);
  const transport = new MemoryTransport(machine);
  let asked = 0;
  const journal = await openJournal({
    context: {
      transport,
      machine: transport,
      occ: null,
      steady: async () => {
        asked += 1;
        if (asked === movesAt) throw moved;
      },
    },
    directory: '/var/lib/latchkey/ncpatch/oc1',
    by: { user: 'me', machine: 'desk', pid: 1 },
    now: () => 0,
    randomId: () => '0123456789abcdef',
  });
  await journal.begin('apply');
  return { machine, journal };
}

describe('a journal on ground that moves', () => {
  test('begins no action after that', async () => {
    const { machine, journal } = await open(1);
    await expect(journal.perform(action)).rejects.toBe(moved);
    expect(machine.nodes.has(FILE)).toBe(false);
    expect(journal.state.steps).toEqual([]);
  });

  test('does not call an action done that was overtaken, and undoes it all the same', async () => {
    const { machine, journal } = await open(2);
    await expect(journal.perform(action)).rejects.toBe(moved);
    expect(journal.state.steps).toMatchObject([{ state: 'begun' }]);
    expect(await journal.rollback()).toEqual({ undone: 1, left: [] });
    expect(machine.nodes.has(FILE)).toBe(false);
  });

  test('does not commit', async () => {
    const { machine, journal } = await open(3);
    await journal.perform(action);
    await expect(journal.commit()).rejects.toBe(moved);
    expect(journal.state.phase).toBe('open');
    await journal.rollback();
    expect(machine.nodes.has(FILE)).toBe(false);
  });
});
