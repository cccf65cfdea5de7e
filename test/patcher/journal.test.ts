import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Action, Occ } from '../../patcher/actions/action.ts';
import { makeDirectory } from '../../patcher/actions/make-directory.ts';
import { removePath } from '../../patcher/actions/remove-path.ts';
import { runOcc } from '../../patcher/actions/run-occ.ts';
import { setSystemValue } from '../../patcher/actions/system-value.ts';
import { systemdUnits } from '../../patcher/actions/systemd-units.ts';
import { uploadTree } from '../../patcher/actions/upload-tree.ts';
import { writeFile } from '../../patcher/actions/write-file.ts';
import { type Journal, openJournal, readJournal } from '../../patcher/journal/journal.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { type Cut, MemoryMachine, MemoryTransport } from './memory-transport.ts';

const JOURNAL = '/var/lib/latchkey/ncpatch/oc1';
const www = { mode: 0o640, uid: 33, gid: 33 };
const root = { mode: 0o600, uid: 0, gid: 0 };
const text = (value: string) => Buffer.from(value);

/** A machine with something of everything in place, an occ with apps and values, and a systemd. */
function makeMachine(): MemoryMachine {
  const machine = new MemoryMachine();
  machine.put('/var/lib/latchkey', null);
  machine.put('/srv/cloud/apps/remotekeystorage/old.php', text('old'), www);
  machine.put('/srv/cloud/apps/remotekeystorage/same.php', text('same'), www);
  machine.put('/srv/cloud/trash/deep/file', text('trash'), www);
  machine.put('/etc/systemd/system/x.timer', text('old timer'), { mode: 0o644, uid: 0, gid: 0 });
  machine.put('/etc/old.conf', text('old conf'), www);
  machine.put('/sys/apps', text('[]'));
  machine.put('/sys/values', text('{"b":["x"]}'));
  machine.put('/sys/units', text('[]'));
  const state = <T>(name: string): T => JSON.parse(String(machine.nodes.get(`/sys/${name}`)?.data)) as T;
  const store = (name: string, value: unknown) => machine.put(`/sys/${name}`, text(JSON.stringify(value)));
  machine.programs.set('occ', (args, input) => {
    const [command, ...rest] = args;
    const apps = new Set(state<string[]>('apps'));
    const values = state<Record<string, unknown>>('values');
    const name = rest.at(-1) ?? '';
    if (command === 'app:enable') store('apps', [...apps.add(name)]);
    else if (command === 'app:disable')
      store(
        'apps',
        [...apps].filter((app) => app !== name),
      );
    else if (command === 'config:system:get') {
      return name in values ? { exit: 0, stdout: `${JSON.stringify(values[name])}\n` } : { exit: 1 };
    } else if (command === 'config:import' && name === 'php://stdin') {
      const { system } = JSON.parse(input) as { system: Record<string, unknown> };
      const kept = Object.entries({ ...values, ...system }).filter(([, value]) => value !== null);
      store('values', Object.fromEntries(kept));
    } else return { exit: 1 };
    return { exit: 0 };
  });
  machine.programs.set('systemctl', (args) => {
    const units = new Set(state<string[]>('units'));
    const [command, unit = ''] = args.filter((arg) => !arg.startsWith('--'));
    const change = (flag: 'enabled' | 'active', on: boolean) =>
      on ? units.add(`${unit} ${flag}`) : units.delete(`${unit} ${flag}`);
    if (command === 'is-enabled') return { exit: units.has(`${unit} enabled`) ? 0 : 1 };
    if (command === 'is-active') return { exit: units.has(`${unit} active`) ? 0 : 3 };
    if (command === 'enable' || command === 'disable') change('enabled', command === 'enable');
    if (args.includes('--now') || command === 'start' || command === 'stop')
      change('active', command === 'enable' || command === 'start');
    store('units', [...units].sort());
    return { exit: 0 };
  });
  return machine;
}

const files = [
  { path: 'appinfo/info.xml', data: text('<info/>'), mode: 0o644 },
  { path: 'same.php', data: text('same'), mode: 0o640 },
];

function allActions(): Action[] {
  return [
    makeDirectory({ path: '/var/lib/latchkey/oc1', mode: 0o700, uid: 33, gid: 33 }),
    writeFile({ path: '/var/lib/latchkey/oc1/new.json', data: text('{}'), ...www }),
    writeFile({ path: '/etc/old.conf', data: text('new conf'), ...root }),
    uploadTree({ path: '/srv/cloud/apps/remotekeystorage', files, mode: 0o750, uid: 33, gid: 33 }),
    uploadTree({ path: '/srv/cloud/apps/second', files, mode: 0o750, uid: 33, gid: 33 }),
    setSystemValue('remotekeystorage.dir', '/var/lib/latchkey/oc1'),
    setSystemValue('b', ['x', { path: 'y' }]),
    runOcc({
      args: ['app:enable', 'remotekeystorage'],
      inverse: ['app:disable', 'remotekeystorage'],
      already: async ({ transport }) =>
        String(await transport.readFile('/sys/apps', { max: 100 })).includes('remotekey'),
    }),
    ...systemdUnits({ units: [{ name: 'x.timer', data: text('new timer') }], enable: ['x.timer'] }),
    removePath('/srv/cloud/trash'),
    removePath('/srv/cloud/gone'),
    removePath('/sys/values-backup'),
  ];
}

let serial = 0;
function open(
  transport: Transport,
  more: { pid?: number; isAlive?: (pid: number) => boolean; takeOver?: boolean; notice?: (text: string) => void } = {},
): Promise<Journal> {
  const occ: Occ = (args, options) =>
    transport.run(['occ', ...args], options?.input === undefined ? {} : { input: options.input });
  const { pid = 1, ...rest } = more;
  return openJournal({
    context: { transport, machine: transport, occ },
    directory: JOURNAL,
    by: { user: 'me', machine: 'desk', pid },
    now: () => 1_700_000_000_000 + serial,
    randomId: () => (++serial).toString(16).padStart(16, '0'),
    isAlive: () => true,
    ...rest,
  });
}

/** What `ncpatch apply` does: settle, begin, perform, commit; roll back on failure. */
async function apply(machine: MemoryMachine, cut?: Cut, actions = allActions()): Promise<('done' | 'unchanged')[]> {
  const transport = new MemoryTransport(machine, cut);
  const journal = await open(transport);
  try {
    await journal.recover();
    await journal.begin('apply');
    const results: ('done' | 'unchanged')[] = [];
    try {
      for (const action of actions) results.push(await journal.perform(action));
    } catch (error) {
      await journal.rollback();
      throw error;
    }
    await journal.commit();
    return results;
  } finally {
    await journal.close();
  }
}

async function recover(machine: MemoryMachine, cut?: Cut): Promise<string> {
  const journal = await open(new MemoryTransport(machine, cut));
  try {
    const { outcome, left } = await journal.recover();
    expect(left).toEqual([]);
    return outcome;
  } finally {
    await journal.close();
  }
}

async function lost(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (isLatchkeyError(error, 'connection_lost')) return true;
    throw error;
  }
}

const before = makeMachine().snapshot(JOURNAL);
delete before['/var/lib/latchkey/ncpatch'];
function look(machine: MemoryMachine): Record<string, string> {
  const seen = machine.snapshot(JOURNAL);
  delete seen['/var/lib/latchkey/ncpatch'];
  return seen;
}

const finished = makeMachine();
const countedCalls = await (async () => {
  const transport = new MemoryTransport(finished);
  const journal = await open(transport);
  await journal.begin('apply');
  for (const action of allActions()) await journal.perform(action);
  await journal.commit();
  await journal.close();
  return transport.calls;
})();
const after = look(finished);

/** Nothing of the journal's own is left but the records of transactions that ended. */
function expectTidy(machine: MemoryMachine): void {
  for (const path of machine.below(JOURNAL)) expect(path).toMatch(/\/oc1\/[0-9TZ-]+-[0-9a-f]{16}\.jsonl$/);
  for (const path of machine.nodes.keys()) expect(path).not.toMatch(/\.latchkey-/);
}

test('apply changes what was planned, and a second apply nothing', async () => {
  const machine = makeMachine();
  expect(await apply(machine)).toEqual([...Array(11).fill('done'), 'unchanged', 'unchanged']);
  expect(look(machine)).toEqual(after);
  expect(after).not.toEqual(before);
  expect(await apply(machine)).toEqual(Array(13).fill('unchanged'));
  expect(look(machine)).toEqual(after);
  expectTidy(machine);
});

test('a line that breaks at any call leaves all or nothing after the next run', async () => {
  let committed = 0;
  for (let at = 0; at < countedCalls + 3; at++) {
    for (const when of ['before', 'after', 'middle'] as const) {
      const machine = makeMachine();
      await lost(apply(machine, { at, when }));
      await recover(machine);
      const end = look(machine);
      const isAfter = JSON.stringify(end) === JSON.stringify(after);
      if (!isAfter) expect(end, `cut ${when} call ${at}`).toEqual(before);
      expectTidy(machine);
      committed += isAfter ? 1 : 0;
      if (at % 7 === 0) {
        await apply(machine);
        expect(look(machine)).toEqual(after);
      }
    }
  }
  expect(committed).toBeGreaterThan(10);
});

test('lines that break again and again, while undoing too, end in all or nothing', async () => {
  const cut = fc.record({
    at: fc.nat({ max: countedCalls + 5 }),
    when: fc.constantFrom('before', 'after', 'middle' as const),
  }) as fc.Arbitrary<Cut>;
  await fc.assert(
    fc.asyncProperty(cut, fc.array(fc.record({ cut, again: fc.boolean() }), { maxLength: 6 }), async (first, more) => {
      const machine = makeMachine();
      await lost(apply(machine, first));
      for (const next of more) {
        const short = { ...next.cut, at: next.again ? next.cut.at : next.cut.at % 60 };
        await lost(next.again ? apply(machine, short) : recover(machine, short));
      }
      await recover(machine);
      const end = look(machine);
      if (JSON.stringify(end) !== JSON.stringify(after)) expect(end).toEqual(before);
      expectTidy(machine);
      await apply(machine);
      expect(look(machine)).toEqual(after);
    }),
    { numRuns: 400 },
  );
});

test('once commit is on disk the next run finishes, before that it undoes', async () => {
  const outcomes = new Set<string>();
  for (let at = 0; at < countedCalls; at++) {
    const machine = makeMachine();
    await lost(apply(machine, { at, when: 'after' }));
    const text = machine.nodes.get(`${JOURNAL}/journal.jsonl`)?.data?.toString() ?? '';
    const state = await readJournal(
      { transport: new MemoryTransport(machine), machine: new MemoryTransport(machine), occ: null },
      JOURNAL,
    );
    const outcome = await recover(machine);
    outcomes.add(outcome);
    if (text === '' || text.includes('"t":"end"')) expect(outcome).toBe('nothing');
    else expect(outcome).toBe(text.includes('"t":"commit"') ? 'finished' : 'undone');
    if (outcome === 'undone') expect(state).toMatchObject({ phase: 'open', command: 'apply', by: 'me@desk' });
  }
  expect([...outcomes].sort()).toEqual(['finished', 'nothing', 'undone']);
});

test('a step that fails undoes all steps before it', async () => {
  const machine = makeMachine();
  const failing = runOcc({ args: ['app:explode', 'x'], inverse: ['app:disable', 'x'] });
  await expect(apply(machine, undefined, [...allActions(), failing])).rejects.toMatchObject({ code: 'occ_failed' });
  expect(look(machine)).toEqual(before);
  expectTidy(machine);
});

test('what somebody else changed meanwhile is left alone and told', async () => {
  const machine = makeMachine();
  const journal = await open(new MemoryTransport(machine));
  await journal.begin('apply');
  for (const action of allActions()) await journal.perform(action);
  machine.put('/etc/old.conf', text('by hand'), www);
  machine.put('/var/lib/latchkey/oc1/theirs', text('x'), www);
  machine.put('/srv/cloud/apps/second/theirs.php', text('x'), www);
  machine.put('/srv/cloud/trash/new', text('x'), www);
  const { left } = await journal.rollback();
  await journal.close();
  expect(left.map((entry) => entry.what).sort()).toEqual([
    'make the folder /var/lib/latchkey/oc1',
    'put 2 files into /srv/cloud/apps/second',
    'remove /srv/cloud/trash',
    'write /etc/old.conf',
  ]);
  expect(machine.nodes.get('/etc/old.conf')?.data?.toString()).toBe('by hand');
  expect(machine.nodes.get('/srv/cloud/apps/remotekeystorage/old.php')?.data?.toString()).toBe('old');
});

test('a step that cannot be undone now does not keep the others from it, and is tried again', async () => {
  const machine = makeMachine();
  const journal = await open(new MemoryTransport(machine));
  await journal.begin('apply');
  for (const action of allActions()) await journal.perform(action);
  const occ = machine.programs.get('occ');
  machine.programs.set('occ', (args, input) =>
    args[0] === 'app:disable' ? { exit: 1 } : (occ?.(args, input) ?? { exit: 1 }),
  );
  await expect(journal.rollback()).rejects.toMatchObject({ code: 'rollback_incomplete' });
  expect(machine.nodes.get('/etc/old.conf')?.data?.toString()).toBe('old conf');
  if (occ !== undefined) machine.programs.set('occ', occ);
  await journal.close();
  expect(await recover(machine)).toBe('undone');
  expect(look(machine)).toEqual(before);
});

test('there is one writer: a second is refused and told who, the first is not disturbed', async () => {
  const machine = makeMachine();
  const first = await open(new MemoryTransport(machine), { pid: 1 });
  await first.begin('apply');
  machine.clock += 100;
  await expect(open(new MemoryTransport(machine), { pid: 2 })).rejects.toMatchObject({
    code: 'journal_locked',
    exit: 3,
    message: expect.stringMatching(/me@desk \(process 1\).*last active/),
  });
  await first.perform(allActions()[2] as Action);
  await first.rollback();
  await first.close();
  await (await open(new MemoryTransport(machine), { pid: 2 })).close();
});

test('a lock is taken over from a process that has ended, by force, or after a quarter of an hour without life', async () => {
  const told: string[] = [];
  const notice = (line: string) => told.push(line);
  const machine = makeMachine();
  await open(new MemoryTransport(machine), { pid: 1 });
  await open(new MemoryTransport(machine), { pid: 2, isAlive: (pid) => pid !== 1, notice });
  await open(new MemoryTransport(machine), { pid: 3, takeOver: true, notice });
  machine.put(`${JOURNAL}/lock`, text('not json'));
  await expect(open(new MemoryTransport(machine), { pid: 4 })).rejects.toMatchObject({ code: 'journal_locked' });
  const old = new MemoryTransport(machine);
  const stat = old.stat.bind(old);
  old.stat = async (path) => {
    const found = await stat(path);
    return found && { ...found, mtime: machine.clock - 901 };
  };
  await open(old, { pid: 4, notice });
  expect(told).toEqual([
    expect.stringContaining('has ended'),
    expect.stringContaining('as asked'),
    expect.stringContaining('no sign of life for 901 seconds'),
  ]);
});

test('a writer whose lock was taken cannot go on', async () => {
  const machine = makeMachine();
  const first = await open(new MemoryTransport(machine), { pid: 1 });
  await first.begin('apply');
  const second = await open(new MemoryTransport(machine), { pid: 2, takeOver: true });
  const [action] = allActions();
  await expect(first.perform(action as Action)).rejects.toMatchObject({ code: 'lock_lost' });
  expect(look(machine)).toEqual(before);
  await first.close();
  expect(machine.nodes.has(`${JOURNAL}/lock`)).toBe(true);
  expect((await second.recover()).outcome).toBe('undone');
  await second.close();
  expect(machine.nodes.has(`${JOURNAL}/lock`)).toBe(false);
});

test('a private key is never written, removed or kept', async () => {
  const path = '/data/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey';
  expect(() => writeFile({ path, data: text('k'), ...www })).toThrow(
    expect.objectContaining({ code: 'private_key_refused' }),
  );
  expect(() => removePath(path)).toThrow(expect.objectContaining({ code: 'private_key_refused' }));
  expect(() => removePath(`${path}.bak`)).toThrow(expect.objectContaining({ code: 'private_key_refused' }));
  const machine = makeMachine();
  machine.put(path, text('key'), www);
  const seen = look(machine);
  await expect(apply(machine, undefined, [removePath('/data/files_encryption')])).rejects.toMatchObject({
    code: 'private_key_refused',
  });
  expect(look(machine)).toEqual(seen);
});

test('originals are kept 0600 in a 0700 folder until the end', async () => {
  const machine = makeMachine();
  const journal = await open(new MemoryTransport(machine));
  await journal.begin('apply');
  for (const action of allActions()) await journal.perform(action);
  const kept = machine.below(JOURNAL).filter((path) => path.includes('/originals-'));
  expect(kept.map((path) => machine.nodes.get(path)?.mode)).toEqual([0o700, 0o600, 0o600]);
  await journal.commit();
  expect(machine.below(JOURNAL).filter((path) => path.includes('/originals-'))).toEqual([]);
  await journal.close();
});

test('a plan shows what would change and changes nothing', async () => {
  const machine = makeMachine();
  const transport = new MemoryTransport(machine);
  const occ: Occ = (args) => transport.run(['occ', ...args]);
  const shown = [];
  for (const action of allActions()) shown.push(await action.diff({ transport, machine: transport, occ }));
  const whole = shown.join('');
  expect(whole).toContain('-old conf\n');
  expect(whole).toContain('+new conf\n');
  expect(whole).toContain('+\'remotekeystorage.dir\' => "/var/lib/latchkey/oc1"');
  expect(whole).toContain('new file /srv/cloud/apps/remotekeystorage/appinfo/info.xml');
  expect(whole).toContain('removed /srv/cloud/apps/remotekeystorage/old.php');
  expect(shown.at(-1)).toBe('');
  expect(machine.snapshot('/none')).toEqual(makeMachine().snapshot('/none'));
});
