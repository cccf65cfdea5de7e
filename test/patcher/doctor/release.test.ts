import { describe, expect, test } from 'vitest';
import { type ReleaseEvidence, releaseFindings } from '../../../patcher/doctor/release.ts';
import { LatchkeyError } from '../../../platform/errors.ts';
import { exampleFacts } from '../example-facts.ts';

const files = { path: '/apps/remotekeystorage', version: '1.0.0', content: {} };
const installed = exampleFacts({ app: { state: 'escrowed', enabled: true, installedVersion: '1.0.0', files } });
const status = {
  ...{ enrolled: true, clientId: 'c', urls: [], keys: ['master_1.privateKey'], hook: 'app' as const, version: '1.0.0' },
  ...{ sessionsKeyFree: true, problems: [] },
};
const look = {
  ...{ mode: 'master' as const, masterKeyId: 'master_1', privateKeys: [], foreignShareKeys: 0 },
  ...{ sample: ['a', 'b'], problems: [] },
};
const said = <T>(value: T) => ({ value, error: null });
const refused = (code: string) => ({
  value: null,
  error: new LatchkeyError(code, 'no key today', { hint: 'look there' }),
});

function evidence(changes: Partial<ReleaseEvidence> = {}): ReleaseEvidence {
  return {
    facts: installed,
    keysAway: ['master_1.privateKey'],
    asked: true,
    status: said(status),
    released: said({ release: true, decrypt: true, ms: 25, verdict: 'ok' }),
    look: said(look),
    encryption: said({ enabled: true }),
    ...changes,
  };
}
const findings = (changes: Partial<ReleaseEvidence> = {}) => releaseFindings(evidence(changes));
const worse = (changes: Partial<ReleaseEvidence> = {}) =>
  findings(changes)
    .filter(({ level }) => level !== 'ok')
    .map(({ code, level }) => `${level} ${code}`);
const problem = (code: string, blocking = false) => ({ code, message: `about ${code}`, hint: 'do this', blocking });

test('a server whose keys are released and open files is fine', () => {
  expect(worse()).toEqual([]);
  expect(findings().map(({ code }) => code)).toEqual([
    'encryption',
    'hook',
    'release',
    'canary',
    'sample',
    'share_keys',
  ]);
});

test('a nextcloud that cannot be asked is unknown, not fine', () => {
  expect(worse({ facts: null, status: null, released: null, look: null })).toEqual(['unknown release_untried']);
});

describe('the hook', () => {
  const app = (enabled: boolean, there: boolean) =>
    exampleFacts({ app: { state: 'absent', enabled, installedVersion: '1.0.0', files: there ? files : null } });
  const unasked = { status: null, look: null };
  test('that is gone is bad while keys are away', () => {
    expect(worse({ ...unasked, facts: app(true, false) })).toContain('bad app_absent');
    expect(worse({ ...unasked, facts: app(false, true) })).toContain('bad app_disabled');
    expect(worse({ ...unasked, facts: app(false, true), keysAway: [], released: null })).toContain('info app_disabled');
  });
  test('that nextcloud does not ask is bad', () => {
    expect(worse({ status: said({ ...status, hook: 'off' as const }) })).toContain('bad hook_off');
  });
  test('that cannot be asked is unknown', () => {
    expect(worse({ status: refused('occ_failed') })).toContain('unknown status_failed');
  });
  test('that lets the key into sessions is bad', () => {
    expect(worse({ status: said({ ...status, sessionsKeyFree: false }) })).toEqual(['bad sessions_get_key']);
  });
});

describe('the release', () => {
  test('that is refused is bad, under the words of the refusal', () => {
    const all = findings({ released: refused('sealed'), look: refused('sealed') });
    expect(all.filter(({ level }) => level !== 'ok')).toMatchObject([
      { code: 'release_failed', what: 'no key was released: no key today (sealed)', fix: 'look there' },
    ]);
  });
  test('that opens nothing is bad', () => {
    expect(worse({ released: said({ release: true, decrypt: false, ms: 5, verdict: 'key_unusable' }) })).toEqual([
      'bad canary_failed',
    ]);
    expect(worse({ released: said({ release: false, decrypt: false, ms: 5, verdict: 'x' }) })).toContain(
      'bad release_failed',
    );
  });
  test.each([
    [2000, []],
    [2001, ['warn release_slow']],
  ])('after %i ms', (ms, expected) => {
    expect(worse({ released: said({ release: true, decrypt: true, ms, verdict: 'ok' }) })).toEqual(expected);
  });
  test('that was not asked for is said to be so', () => {
    expect(worse({ asked: false, released: null, look: null })).toEqual(['unknown release_unasked']);
    expect(worse({ keysAway: [], released: null })).toEqual(['info no_key_moved']);
  });
});

describe('test files', () => {
  test('of which none opens are bad, of which some do not are warned of', () => {
    const problems = [problem('sample_unreadable')];
    expect(worse({ look: said({ ...look, sample: [], problems }) })).toEqual(['bad no_file_opens']);
    expect(worse({ look: said({ ...look, problems }) })).toEqual(['warn sample_unreadable']);
  });
  test('that could not be tried are unknown, none at all is told', () => {
    expect(worse({ look: refused('occ_failed') })).toEqual(['unknown sample_untried']);
    expect(worse({ look: said({ ...look, sample: [] }) })).toEqual(['info sample_empty']);
  });
  test('sealed to other keys too are warned of', () => {
    expect(worse({ look: said({ ...look, foreignShareKeys: 3 }) })).toEqual(['warn foreign_share_keys']);
  });
});

test('what the app says of itself is passed on once, but for what is seen better elsewhere', () => {
  const problems = [
    problem('breaker_open', true),
    problem('link_missing'),
    problem('swap_on'),
    problem('heartbeat_silent'),
  ];
  expect(worse({ status: said({ ...status, problems }), look: said({ ...look, problems }) })).toEqual([
    'bad breaker_open',
    'warn link_missing',
  ]);
});

test('encryption that is off is said, by the database or by occ', () => {
  const off = exampleFacts({ encryption: { ...installed.encryption, mode: 'off' }, app: installed.app });
  expect(worse({ facts: off })).toContain('warn encryption_off');
  expect(worse({ encryption: said({ enabled: false }) })).toContain('bad encryption_off');
});
