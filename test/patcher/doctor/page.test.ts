import { describe, expect, test } from 'vitest';
import { examine, type GroupReport } from '../../../patcher/doctor/examination.ts';
import { bad, info, ok, unknown, warn } from '../../../patcher/doctor/finding.ts';
import { hindrances } from '../../../patcher/doctor/hindrances.ts';
import { pageLines } from '../../../patcher/doctor/page.ts';
import type { Patient } from '../../../patcher/doctor/patient.ts';
import { repairsOf } from '../../../patcher/doctor/repairs.ts';
import { exampleFacts } from '../example-facts.ts';
import { MemoryMachine, MemoryTransport } from '../memory-transport.ts';

const repair = { kind: 'close_path', path: '/state', mode: 0o700, owner: 'www-data' } as const;
const reports: GroupReport[] = [
  {
    group: 'credentials',
    findings: [
      bad('state_mode', 'it is open', { why: 'others read it', fix: 'chmod 700 /state', repair }),
      ok('a', 'one'),
      ok('b', 'two'),
    ],
  },
  {
    group: 'php',
    findings: [
      warn('w', 'a warning', { seen: ['1', '2', '3', '4', '5'] }),
      unknown('u', 'not seen'),
      info('i', 'so it is', { why: 'left out' }),
    ],
  },
  { group: 'memory', findings: [] },
];
const page = (given: readonly GroupReport[] = reports, colour = false) =>
  pageLines(given, { colour, heading: ['cloud'] });

test('the page shows what is wrong, why and what to do, and sums up the rest', () => {
  expect(page()).toEqual([
    'cloud',
    '',
    'credentials and heartbeat',
    'BAD   it is open (state_mode)',
    '      others read it',
    '      -> chmod 700 /state',
    'ok    one; two',
    '',
    'php',
    'warn  a warning (w)',
    '      - 1',
    '      - 2',
    '      - 3',
    '      - 4',
    '      - and 1 more (--json)',
    '?     not seen (u)',
    'note  so it is (i)',
    '',
    '1 bad, 1 warning, 1 unknown, 1 note, 2 ok',
    '1 can be mended by: ncpatch doctor --fix (--dry-run shows how)',
  ]);
});

test('no line of words is wider than 100 columns; a path that is stays whole', () => {
  const long = 'word '.repeat(60).trim();
  const path = `/${'x'.repeat(120)}`;
  const lines = page([{ group: 'php', findings: [bad('c', long, { why: long, fix: `shred -u ${path} ${long}` })] }]);
  expect(lines.filter((line) => line.length > 100).map((line) => line.trim())).toEqual([path]);
});

test('what the command names is not told twice', () => {
  const lines = page([{ group: 'php', findings: [bad('c', 'copies', { fix: 'rm /a', seen: ['/a', '/b'] })] }]);
  expect(lines.filter((line) => line.includes('/a'))).toEqual(['      -> rm /a']);
  expect(lines).toContain('      - /b');
});

test('a name cannot paint the terminal, and colours are there only when asked for', () => {
  const lines = page([{ group: 'php', findings: [bad('c', 'a\u001b[2Jb', { seen: ['\u202ex'] })] }]);
  expect(lines.join('')).not.toMatch(/\p{C}/u);
  expect(lines.join('')).toContain('\\u{1b}[2Jb');
  expect(page(reports, true).join('')).toContain('\u001b[31;1mBAD');
});

test('the same repair is made once', () => {
  const twice = [...reports, ...reports];
  expect(repairsOf(twice)).toEqual([repair]);
});

describe('the examination', () => {
  const machine = new MemoryTransport(new MemoryMachine());
  const deps = {
    app: { app: { version: '1.0.0', content: {} }, heartbeat: '', files: [] },
    now: () => 0,
    progress: { step: () => undefined, note: () => undefined },
    askKeyServer: true,
  } as unknown as Parameters<typeof examine>[1];
  const patient: Patient = {
    ...{ target: 'lamp', root: '/html', configFile: '/html/config/config.php', files: machine, machine },
    ...{ instance: null, occ: null, facts: null, trouble: null, settings: { source: 'text', system: {}, core: {} } },
    ...{ instanceId: null, dataDirectory: '/html/data', stateFolder: '/state', keysAway: null, urls: null, web: null },
  };

  test('of a machine where no look works finds something unknown in every group, and does not end', async () => {
    const seen = await examine(patient, deps);
    expect(seen).toHaveLength(9);
    for (const { group, findings } of seen) {
      expect(
        findings.some(({ level }) => level === 'unknown' || level === 'info'),
        group,
      ).toBe(true);
      expect(
        findings.filter(({ level }) => level === 'bad'),
        group,
      ).toEqual([]);
    }
    expect(seen.flatMap(({ findings }) => findings.map(({ code }) => code))).toEqual(
      expect.arrayContaining(['copies_unseen', 'memory_unseen', 'clock_unseen', 'credentials_unseen', 'upkeep_unseen']),
    );
  });

  test('looks only at the groups that are asked for', async () => {
    expect((await examine(patient, deps, ['memory'])).map(({ group }) => group)).toEqual(['memory']);
  });
});

test('what blocks apply is bad, and told once where another decider sees more', () => {
  const facts = exampleFacts({ isRoot: false, selinuxEnforcing: true, maintenance: true });
  const grouped = Object.fromEntries(
    [...hindrances(facts)].map(([group, list]) => [group, list.map(({ code, level }) => `${level} ${code}`)]),
  );
  expect(grouped).toEqual({ ncpatch: ['bad not_root'], network: ['warn selinux_enforcing'] });
});
