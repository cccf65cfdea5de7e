import { describe, expect, test } from 'vitest';
import { type CredentialsEvidence, credentialsFindings } from '../../../patcher/doctor/credentials.ts';
import { lifetimeOf } from '../../../patcher/doctor/credentials-probe.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const DAY = 24 * 3_600_000;
const file = (name: string, mode = '600', owner = 'www-data', plain = true) => ({
  name,
  mode,
  owner,
  mtime: NOW - DAY,
  plain,
});

function evidence(changes: Partial<CredentialsEvidence> = {}): CredentialsEvidence {
  return {
    door: '',
    stateFolder: { path: '/state', mode: '700', owner: 'www-data' },
    owner: 'www-data',
    files: [file('client.json'), file('client.key')],
    hasCertificate: true,
    certificate: { from: NOW - DAY, until: NOW + 30 * DAY },
    authority: { from: NOW - DAY, until: NOW + 3650 * DAY },
    keysAway: ['master_1.privateKey'],
    timerInstalled: true,
    scheduler: 'systemd',
    timerActive: true,
    heartbeat: { time: NOW - 30_000, code: 'ok', answered: NOW - 30_000 },
    ...changes,
  };
}
const findings = (changes: Partial<CredentialsEvidence> = {}) => credentialsFindings(evidence(changes), NOW);
const worse = (changes: Partial<CredentialsEvidence> = {}) =>
  findings(changes)
    .filter(({ level }) => level !== 'ok')
    .map(({ code, level }) => `${level} ${code}`);

test('a healthy enrolment has nothing to say', () => {
  expect(worse()).toEqual([]);
});

describe('the state folder', () => {
  test('a file that is open to others is bad, and can be closed', () => {
    const [finding] = findings({ files: [file('client.json', '640')] });
    expect(finding).toMatchObject({
      ...{ code: 'state_mode', level: 'bad' },
      repair: { kind: 'close_path', path: '/state/client.json', mode: 0o600, owner: 'www-data' },
    });
  });
  test('the command for it goes into the container that it is in', () => {
    const door = 'docker exec -u 0 cloud ';
    const [open] = findings({ door, files: [file('client.json', '640')] });
    expect(open?.fix).toBe('docker exec -u 0 cloud chmod 600 /state/client.json');
    const [others] = findings({ door, files: [file('client.json', '600', 'root')] });
    expect(others?.fix).toContain('then: docker exec -u 0 cloud chown www-data: /state/client.json');
  });
  test('so is the folder itself', () => {
    const [finding] = findings({ stateFolder: { path: '/state', mode: '750', owner: 'www-data' } });
    expect(finding?.repair).toEqual({ kind: 'close_path', path: '/state', mode: 0o700, owner: 'www-data' });
  });
  test('what belongs to another, or is a link, is for people: nothing mends it by itself', () => {
    for (const files of [
      [file('client.json'), file('client.key', '644', 'mallory')],
      [file('client.json'), file('client.key', '777', 'www-data', false)],
    ]) {
      const [finding] = findings({ files });
      expect(finding).toMatchObject({ level: 'bad', repair: null });
    }
  });
  test('that is gone is bad once keys are away, and told before', () => {
    expect(worse({ stateFolder: null, files: [] })).toEqual(['bad credentials_missing']);
    expect(worse({ files: [] })).toEqual(['bad credentials_missing']);
    expect(worse({ stateFolder: null, files: [], keysAway: [] })).toEqual(['info not_enrolled']);
    expect(worse({ stateFolder: null, files: [], keysAway: null })).toEqual(['unknown credentials_unknown']);
  });
});

describe('the certificate', () => {
  const until = (time: number) => ({ certificate: { from: NOW - 60 * DAY, until: time } });
  test.each([
    [NOW - 1, ['bad certificate_expired']],
    [NOW, ['warn certificate_ending']],
    [NOW + 7 * DAY - 1, ['warn certificate_ending']],
    [NOW + 7 * DAY, []],
  ])('that ends at %i', (time, expected) => {
    expect(worse(until(time))).toEqual(expected);
  });
  test('of the future is bad, one that cannot be read too; none at all is told', () => {
    expect(worse({ certificate: { from: NOW + 1000, until: NOW + DAY } })).toEqual(['bad certificate_not_yet']);
    expect(worse({ certificate: null })).toEqual(['bad certificate_unreadable']);
    expect(worse({ certificate: null, hasCertificate: false })).toEqual(['info no_certificate']);
  });
  test("the authority's end is told before it comes", () => {
    expect(worse({ authority: { from: 0, until: NOW - 1 } })).toEqual(['bad authority_expired']);
    expect(worse({ authority: { from: 0, until: NOW + 30 * DAY } })).toEqual(['warn authority_ending']);
    expect(worse({ authority: null })).toEqual(['unknown authority_unreadable']);
  });
  test('text that is none is not taken for one', () => {
    expect(lifetimeOf('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')).toBeNull();
  });
});

describe('the heartbeat', () => {
  const silent = (ms: number) => ({ heartbeat: { time: NOW, code: 'unreachable', answered: NOW - ms } });
  test('that went unanswered for more than ten minutes is bad', () => {
    expect(worse(silent(600_000))).toEqual([]);
    expect(worse(silent(600_001))).toEqual(['bad heartbeat_silent']);
    expect(findings(silent(600_001)).at(-1)?.what).toContain('(unreachable)');
    expect(worse({ heartbeat: null })).toEqual(['bad heartbeat_silent']);
  });
  test('is only told of while no key is away', () => {
    expect(worse({ ...silent(700_000), keysAway: [] })).toEqual(['info heartbeat_silent']);
  });
  test('that is not installed, or not run, is warned of', () => {
    expect(worse({ timerInstalled: false })).toEqual(['warn heartbeat_missing']);
    expect(worse({ timerActive: false })).toEqual(['warn heartbeat_not_run']);
    expect(worse({ timerInstalled: null, timerActive: null })).toEqual([]);
  });
});

test('credentials older than a year are told of, without alarm', () => {
  const old = [{ ...file('client.json'), mtime: NOW - 366 * DAY }];
  expect(worse({ files: old })).toEqual(['info token_old']);
});
