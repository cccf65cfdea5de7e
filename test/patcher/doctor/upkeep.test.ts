import { describe, expect, test } from 'vitest';
import { SUPPORTED_UNTIL, supportOf } from '../../../patcher/doctor/nextcloud-releases.ts';
import { type OwnStateEvidence, ownStateFindings } from '../../../patcher/doctor/own-state.ts';
import { settingsIn } from '../../../patcher/doctor/settings.ts';
import { type UpkeepEvidence, upkeepFindings } from '../../../patcher/doctor/upkeep.ts';
import { exampleFacts } from '../example-facts.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const facts = (major: number) =>
  exampleFacts({ version: { ...exampleFacts().version, major, versionString: `${major}.0.1` } });

function evidence(changes: Partial<UpkeepEvidence> = {}): UpkeepEvidence {
  return {
    door: '',
    facts: facts(35),
    ...{ known: true, debug: false, logLevel: 2, integrityOff: false, maintenance: false },
    ...{ jobs: 'cron', lastJob: NOW - 60_000, nowThere: NOW },
    config: { path: '/c/config.php', mode: '640', owner: 'www-data' },
    poolUser: 'www-data',
    data: { path: '/data', mode: '770', owner: 'www-data' },
    dataKnown: true,
    ...{ dataBelowRoot: false, hasHtaccess: true, address: null },
    ...changes,
  };
}
const findings = (changes: Partial<UpkeepEvidence> = {}, now = NOW) => upkeepFindings(evidence(changes), now);
const worse = (changes: Partial<UpkeepEvidence> = {}, now = NOW) =>
  findings(changes, now)
    .filter(({ level }) => level !== 'ok')
    .map(({ code, level }) => `${level} ${code}`);

test('a nextcloud that is looked after has nothing to say', () => {
  expect(worse()).toEqual([]);
});

describe('the end of fixes', () => {
  test.each([
    [28, ['warn release_ended']],
    [32, ['warn release_ended']],
    [33, []],
    [35, []],
    [99, ['info release_unknown']],
  ])('for nextcloud %i in November 2026', (major, expected) => {
    expect(worse({ facts: facts(major) })).toEqual(expected);
  });
  test('comes with the last day and not before, and is told a month ahead', () => {
    const end = Date.parse(`${SUPPORTED_UNTIL[33]}T23:59:59Z`);
    expect(worse({ facts: facts(33) }, end)).toEqual(['warn release_ending']);
    expect(worse({ facts: facts(33) }, end + 1)).toEqual(['warn release_ended']);
    expect(worse({ facts: facts(33) }, end - 32 * 24 * 3_600_000)).toEqual(['info release']);
  });
  test('is a year after a release came out, newer ones later', () => {
    const days = Object.keys(SUPPORTED_UNTIL).map((major) => supportOf(Number(major))?.until ?? 0);
    expect(days).toEqual(days.toSorted((a, b) => a - b));
    expect(days.every((day) => Number.isInteger(day) && day > 0)).toBe(true);
  });
});

test.each([
  [{ debug: true }, 'warn debug_on'],
  [{ logLevel: 0 }, 'warn log_level'],
  [{ integrityOff: true }, 'warn integrity_off'],
  [{ maintenance: true }, 'warn maintenance_mode'],
  [{ known: false }, 'unknown settings_unknown'],
  [{ jobs: null, lastJob: null }, 'unknown jobs_unknown'],
  [{ lastJob: 0 }, 'warn jobs_never'],
  [{ lastJob: NOW - 3_600_001 }, 'warn jobs_late'],
  [{ jobs: 'ajax' }, 'info jobs_mode'],
  [{ jobs: 'ajax', lastJob: NOW - 25 * 3_600_000 }, 'warn jobs_late'],
  [{ config: null }, 'bad config_missing'],
  [{ data: null }, 'bad data_missing'],
  [{ data: null, dataKnown: false }, 'unknown data_unknown'],
  [{ data: { path: '/data', mode: '775', owner: 'www-data' } }, 'warn data_open'],
  [{ dataBelowRoot: true }, 'info data_in_web'],
  [{ dataBelowRoot: true, hasHtaccess: false }, 'warn data_in_web'],
] satisfies [Partial<UpkeepEvidence>, string][])('%j is %s', (changes, expected) => {
  expect(worse(changes)).toEqual([expected]);
});

describe('a config.php that others can read', () => {
  const config = { path: '/c/config.php', mode: '644', owner: 'www-data' };
  test('can be closed where the web runs as its owner', () => {
    expect(findings({ config }).find(({ code }) => code === 'config_open')).toMatchObject({
      repair: { kind: 'close_path', path: '/c/config.php', mode: 0o640, owner: 'www-data' },
    });
  });
  test('is closed in the container that it is in', () => {
    const data = { path: '/data', mode: '775', owner: 'www-data' };
    const fixes = findings({ config, data, door: 'docker exec -u 0 cloud ' }).map(({ fix }) => fix);
    expect(fixes).toContain('docker exec -u 0 cloud chmod 640 /c/config.php');
    expect(fixes).toContain('docker exec -u 0 cloud chmod o-rwx /data');
  });
  test('is left to people where the web may need that very bit', () => {
    for (const poolUser of [null, 'nginx']) {
      const finding = findings({ config, poolUser }).find(({ code }) => code === 'config_open');
      expect(finding).toMatchObject({ level: 'warn', repair: null });
    }
  });
});

test('settings are read as text one by one, and a value that is more than plain is none', () => {
  const text = `
  'instanceid' => 'oc1',
  'secret' => 'must not be read',
  'debug' => true,
  'loglevel' => 0,
  'datadirectory' => '/data' . '/x',
  'memcache.local' => '\\OC\\Memcache\\APCu',
  'maintenance' => true,
  'maintenance' => false,
`;
  expect(settingsIn(text)).toEqual({ instanceid: 'oc1', debug: true, loglevel: 0, maintenance: false });
});

describe('ncpatch itself', () => {
  const own = (changes: Partial<OwnStateEvidence>) =>
    ownStateFindings(
      {
        journal: { phase: 'none', transaction: null, command: null, since: null, by: null, steps: [] },
        ...{ steps: [], version: { brought: '1.0.0', there: '1.0.0' }, watch: 'installed', keysAway: ['k'] },
        ...changes,
      },
      NOW,
    )
      .filter(({ level }) => level !== 'ok')
      .map(({ code, level }) => `${level} ${code}`);

  test('with nothing to do is fine', () => {
    expect(own({})).toEqual([]);
  });
  test('with a change half done is bad, with one that is due warned of', () => {
    const open = { phase: 'open' as const, transaction: 't', command: 'apply', since: NOW, by: 'a@b', steps: [] };
    expect(own({ journal: open })).toEqual(['bad transaction_open']);
    expect(own({ steps: [{ kind: 'enable_app' }] })).toEqual(['warn apply_due']);
    expect(own({ steps: [{ kind: 'enable_app' }], keysAway: [] })).toEqual(['info apply_due']);
  });
  test('whose state cannot be read is unknown', () => {
    expect(own({ journal: null, steps: null })).toEqual(['unknown journal_unknown', 'unknown plan_unknown']);
  });
  test('whose watch is missing or broken is told', () => {
    expect(own({ watch: 'absent' })).toEqual(['info watch_absent']);
    expect(own({ watch: 'absent', keysAway: [] })).toEqual([]);
    expect(own({ watch: 'partly' })).toEqual(['warn watch_partly']);
    expect(own({ watch: null })).toEqual([]);
  });
});
