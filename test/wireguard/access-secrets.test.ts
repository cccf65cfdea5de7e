import { createSecretKey, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { totpSecretBytes } from '../../platform/totp.ts';
import { addJwtKey } from '../../wireguard/access/jwt-keys.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type RunningHub, startRunningHub, testPassword } from './running-hub.ts';

const jwtSecret = randomBytes(40);
/** Everything that was answered, besides the two answers that tell a secret once. */
const answers: string[] = [];
const secrets = new Map<string, Buffer>();
let hub: RunningHub;

beforeAll(async () => {
  hub = await startRunningHub({
    config: { audience: 'wghub' },
    tokens: [{ name: 'backend', scopes: ['devices', 'metrics:read'] }],
    accounts: [{ name: 'ann', role: 'admin' }],
  });
  const key = { name: 'shop', algorithm: 'HS256', key: createSecretKey(jwtSecret) } as const;
  await hub.data.store.transaction((tx) => addJwtKey(tx, hub.vault, key, COMMAND, hub.clock.now()));
  const ask = async (method: string, path: string, token: string, body?: unknown) => {
    const answer = await hub.request(method, path, { token, ...(body === undefined ? {} : { body }) });
    answers.push(JSON.stringify(answer.headers) + answer.text);
    return answer;
  };
  const session = await hub.login('ann');
  const made = await hub.request('POST', '/api/tokens', {
    token: 'ann',
    body: { name: 'new', scopes: ['audit:read'] },
  });
  const jwt = await new SignJWT({ sub: 'worker' })
    .setProtectedHeader({ alg: 'HS256', kid: 'shop' })
    .setAudience('wghub')
    .setExpirationTime(Math.floor(hub.clock.now() / 1000) + 600)
    .sign(jwtSecret);
  const bytesOf = (token: string): Buffer => Buffer.from(token.slice(4), 'base64url');
  secrets.set('the password', Buffer.from(testPassword));
  secrets.set('a token', bytesOf(hub.token('backend')));
  secrets.set('a token of the API', bytesOf(made.body.token));
  secrets.set('a session', bytesOf(session));
  secrets.set('the secret of codes', totpSecretBytes(hub.secret('ann')));
  secrets.set('the secret of JWTs', jwtSecret);
  secrets.set('the signature of a JWT', Buffer.from(jwt.split('.')[2] ?? '', 'base64url'));

  for (const token of ['ann', 'backend', made.body.token, jwt, `${jwt}A`, `${hub.token('backend')}A`, `${session}A`]) {
    for (const path of ['/api/session', '/api/tokens', '/api/audit?limit=1000', '/api/peers', '/api/metrics']) {
      await ask('GET', path, token);
    }
    await ask('POST', '/api/tokens', token, { name: hub.token('backend'), scopes: [made.body.token] });
    await ask('POST', '/api/login', token, {
      name: 'ann',
      password: testPassword,
      code: hub.secret('ann').slice(0, 16),
    });
    await ask('POST', '/api/login', token, { [testPassword]: 1 });
    await ask('DELETE', `/api/tokens/${hub.token('backend')}`, token);
    await ask('GET', `/api/${session}`, token);
    await ask('GET', `/api/audit?after=${session}`, token);
  }
  await hub.request('POST', '/api/tokens', { token: 'ann', body: `{"token": ${hub.token('backend')}` });
  await ask('POST', '/api/logout', 'ann');
});
afterAll(() => hub.stop());

/** Whether bytes or their usual spellings are anywhere in a text (of one byte each letter). */
function isIn(text: string, secret: Buffer): boolean {
  const base32 = secret.length === 20 ? [hub.secret('ann')] : [];
  const base64 = secret.toString('base64').replace(/=+$/, '');
  const spelled = [secret.toString('latin1'), base64, secret.toString('base64url'), secret.toString('hex'), ...base32];
  return spelled.some((one) => text.includes(one));
}

const found = (text: string): string[] => [...secrets].filter(([, secret]) => isIn(text, secret)).map(([name]) => name);

test('the search finds what is there', () => {
  for (const [name, secret] of secrets) {
    expect(found(`x${secret.toString('base64url')}y`)).toContain(name);
    expect(found(`x${secret.toString('latin1')}y`)).toContain(name);
  }
});

test('no answer tells a secret, but the one that makes it', () => {
  expect(answers.length).toBeGreaterThan(70);
  expect(found(answers.join('\n'))).toEqual([]);
});

test('the log and the audit log tell no secret', async () => {
  const audit = JSON.stringify(await hub.audit());
  for (const event of ['login', 'login_refused', 'credentials_refused', 'token_made', 'logout']) {
    expect(audit).toContain(`"${event}"`);
  }
  expect(found(audit)).toEqual([]);
  expect(found(hub.log())).toEqual([]);
});

test('the data directory holds no secret in clear', () => {
  const names = readdirSync(hub.data.directory, { recursive: true, encoding: 'utf8' });
  const files = names.map((name) => join(hub.data.directory, name)).filter((path) => statSync(path).isFile());
  expect(files.map((path) => path.split('/').at(-1))).toEqual(expect.arrayContaining(['hub.db', 'hub.db-wal']));
  for (const path of files) expect([path, found(readFileSync(path, 'latin1'))]).toEqual([path, []]);
});
