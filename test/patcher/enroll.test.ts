import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Facts } from '../../patcher/facts.ts';
import { caFingerprint, checkEnrolOrder, enroll } from '../../patcher/keys/enroll.ts';
import { exampleFacts } from './example-facts.ts';

const folder = mkdtempSync(join(tmpdir(), 'lk-enroll-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'ca.pem');
execFileSync(
  'openssl',
  [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=keys',
    '-keyout',
    '/dev/null',
    '-out',
    path,
  ],
  { stdio: 'ignore' },
);
const ca = readFileSync(path, 'utf8');
const order = { urls: ['https://10.9.0.1:8443'], code: Buffer.alloc(32, 9).toString('base64url'), ca, replace: false };

describe('checkEnrolOrder()', () => {
  test.each(['https://10.9.0.1:8443', 'https://keys.example.org', 'https://[fd00::1]:8443/'])('takes %s', (url) => {
    expect(() => checkEnrolOrder({ ...order, urls: [url] })).not.toThrow();
  });

  test.each([
    'http://10.9.0.1',
    'https://u:p@10.9.0.1',
    'https://10.9.0.1/path',
    'https://10.9.0.1/?q',
    'ftp://x',
    '10.9.0.1',
  ])('refuses %s', (url) => {
    expect(() => checkEnrolOrder({ ...order, urls: [url] })).toThrow(
      expect.objectContaining({ code: 'invalid_url', exit: 2 }),
    );
  });

  test.each(['', 'short', `${order.code}A`, order.code.replace(/.$/, '+'), ` ${order.code}`])(
    'refuses the code %j unseen',
    (code) => {
      const attempt = (): void => checkEnrolOrder({ ...order, code });
      expect(attempt).toThrow(expect.objectContaining({ code: 'invalid_code', exit: 2 }));
      if (code !== '') expect(attempt).not.toThrow(code);
    },
  );
});

test('caFingerprint() is the one that openssl shows', () => {
  const shown = execFileSync('openssl', ['x509', '-in', path, '-noout', '-fingerprint', '-sha256'], {
    encoding: 'utf8',
  });
  expect(caFingerprint(ca)).toBe(`SHA256:${shown.trim().split('=')[1]}`);
});

test('caFingerprint() refuses what is no certificate', () => {
  expect(() => caFingerprint('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')).toThrow(
    expect.objectContaining({ code: 'invalid_ca', exit: 2 }),
  );
});

test('enroll() does not spend the code where the app cannot run', async () => {
  const occ = (): never => {
    throw new Error('must not be called');
  };
  const progress = { step: () => undefined, note: () => undefined };
  await expect(enroll(exampleFacts(), order, { occ, progress })).rejects.toMatchObject({
    code: 'app_not_loaded',
    exit: 3,
  });
});

test('enroll() tells of a container that the silence may be its own', async () => {
  const error = { code: 'unreachable', message: 'no connection within 2 s', hint: 'check that the tunnel is up' };
  const occ = async () => ({ exit: 1, stdout: Buffer.from(JSON.stringify({ error })), stderr: '' });
  const progress = { step: () => undefined, note: () => undefined };
  const base = exampleFacts();
  const files = { path: '/apps/remotekeystorage', version: '1.0.0', content: {} };
  const app: Facts['app'] = { ...base.app, enabled: true, files };
  const facts: Facts = { ...base, app, stateFolder: { ...base.stateFolder, exists: true } };
  await expect(enroll(facts, order, { occ, progress })).rejects.toMatchObject(error);
  const engine = { engine: 'docker', name: 'cloud', image: 'nextcloud', kind: 'official' } as const;
  const container = { ...engine, mounts: [], entryHooks: [], companions: [] };
  await expect(enroll({ ...facts, container }, order, { occ, progress })).rejects.toMatchObject({
    code: 'unreachable',
    message: 'no connection within 2 s, asked from inside of the container cloud',
    hint: expect.stringMatching(/macvlan.*docker exec cloud curl -k https:\/\/10\.9\.0\.1:8443$/),
  });
});
