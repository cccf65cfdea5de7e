import { renameSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { removeAdmin, setPassword } from '../../keyserver/admin/accounts.ts';
import { findApproval } from '../../keyserver/approvals/approvals.ts';
import { readConfig, writeConfig } from '../../keyserver/config.ts';
import { databaseFile } from '../../keyserver/data-directory.ts';
import { systemRandom } from '../../platform/clock.ts';
import { hashPassword, isPassword } from '../../platform/password.ts';
import { type AdminVisitor, addVisitor, csrfOf } from './admin-visitor.ts';
import { heldRequest } from './page-scenes.ts';
import { RunningServer } from './running-server.ts';

const minute = 60_000;
let server: RunningServer;
let count = 0;
let ann: AdminVisitor;

beforeAll(async () => {
  server = await RunningServer.start({ clients: 1 });
});
afterAll(() => server.remove());
beforeEach(async () => {
  server.skew += 3_600_000; // what was locked out or counted before is over
  count += 1;
  ann = await addVisitor(server, `ann-${count}`);
});

const isLoginPage = (text: string): boolean => text.includes('action="/admin/login"');

describe('logging in', () => {
  it('tells nobody whether the name, the password or the code was wrong, but the audit log', async () => {
    const unknown = await ann.tryLogin({ name: `eve-${count}` });
    const password = await ann.tryLogin({ password: 'CANARY another one' });
    const code = await ann.tryLogin({ code: '000000' });
    const none = await ann.tryLogin({ code: 'x' });
    const ofName = (text: string): string => text.replaceAll(/(ann|eve)-\d+/g, 'NAME');
    for (const answer of [unknown, password, code, none]) {
      expect(answer.status).toBe(403);
      expect(answer.headers['set-cookie']).toBeUndefined();
      expect(ofName(answer.text)).toBe(ofName(unknown.text));
    }
    const refusals = (await server.audit()).filter((record) => record.event === 'admin_refused');
    expect(refusals.map((record) => record.reason)).toEqual(expect.arrayContaining(['name', 'password', 'code']));
    expect(JSON.stringify(refusals)).not.toMatch(/CANARY|eve-/);
  });

  it('takes a code once, and none from before it', async () => {
    const code = ann.nextCode();
    expect((await ann.tryLogin({ code })).status).toBe(303);
    expect((await ann.tryLogin({ code })).status).toBe(403);
    server.skew -= 30_000;
    const earlier = ann.code();
    server.skew += 30_000;
    expect((await ann.tryLogin({ code: earlier })).status).toBe(403);
    expect((await ann.tryLogin()).status).toBe(303);
  });

  it('takes a code once even from two that come together', async () => {
    const code = ann.nextCode();
    const answers = await Promise.all([1, 2, 3].map(() => ann.tryLogin({ code })));
    expect(answers.map(({ status }) => status).sort()).toEqual([303, 403, 403]);
  });

  it('does not burn a code that came with a wrong password', async () => {
    const code = ann.nextCode();
    expect((await ann.tryLogin({ code, password: 'wrong' })).status).toBe(403);
    expect((await ann.tryLogin({ code })).status).toBe(303);
  });

  it('makes who fails wait, longer each time, an hour at most, and keeps out who knows everything meanwhile', async () => {
    const waits: number[] = [];
    for (let tries = 0; tries < 40 && !waits.includes(3600); tries++) {
      const answer = await ann.tryLogin({ password: 'wrong', code: '000000' });
      if (answer.status === 403) continue;
      expect(answer.status).toBe(429);
      const seconds = Number(/Wait (\d+) s/.exec(answer.text)?.[1]);
      if (waits.length < 3) expect((await ann.tryLogin({ code: ann.code() })).status).toBe(429);
      waits.push(seconds);
      server.skew += seconds * 1000;
    }
    const grown = waits.filter((wait, index) => wait !== waits[index - 1]);
    expect(grown).toEqual([...grown].sort((a, b) => a - b));
    expect(waits.at(-1)).toBe(3600);
    expect((await ann.tryLogin()).status).toBe(303);
    const alerts = await server.beside((tx) => tx.selectFrom('outbox_message').select('body').execute());
    expect(alerts.map(({ body }) => body).join()).toContain('"call":"the admin pages"');
  });

  it('does not lock out a name for somebody elsewhere', async () => {
    for (let tries = 0; tries < 8; tries++) await ann.tryLogin({ password: 'wrong' });
    const fields = { name: ann.name, password: ann.password, next: '/admin/custody' };
    const form = (code: string) => new URLSearchParams({ ...fields, code }).toString();
    const here = await ann.send('POST', '/admin/login', { body: form(ann.code()) });
    expect(here.status).toBe(429);
    const there = await ann.send('POST', '/admin/login', { body: form(ann.code()), localAddress: '127.0.0.9' });
    expect(there.status).toBe(303);
  });

  it.each([
    ['a field more', { more: '1' }],
    ['no name', { name: undefined }],
    ['a name beyond all measure', { name: 'x'.repeat(65) }],
    ['no password', { password: '' }],
  ])('refuses a form with %s', async (_what, change) => {
    const fields = { name: ann.name, password: ann.password, code: ann.nextCode(), next: '/admin', ...change };
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    const body = new URLSearchParams(given as Record<string, string>).toString();
    expect((await ann.send('POST', '/admin/login', { body })).status).toBe(400);
  });

  it.each([
    'https://evil.example/',
    '//evil.example',
    '/admin/../key',
    '/admin/custody/%0d%0aX:1',
    '/admin/logout',
    '',
  ])('does not lead to %s', async (next) => {
    const answer = await ann.tryLogin({ next });
    expect([answer.status, answer.headers.location]).toEqual([303, '/admin/custody']);
  });

  it('leads to the page that was asked for', async () => {
    const asked = '/admin/approvals/ap-0123456789abcdef';
    expect((await ann.get(asked)).text).toContain(`name="next" value="${asked}"`);
    expect((await ann.tryLogin({ next: asked })).headers.location).toBe(asked);
  });

  it('sets a cookie for this host, over TLS, that no program can read and no other page sends', async () => {
    const { headers } = await ann.tryLogin();
    expect(headers['set-cookie']).toHaveLength(1);
    expect(headers['set-cookie']?.[0]).toMatch(
      /^__Host-latchkey=[A-Za-z0-9_-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
  });
});

describe('a session', () => {
  it('is never one that the browser brought along', async () => {
    ann.cookie = `__Host-latchkey=${'A'.repeat(43)}`;
    const { headers } = await ann.tryLogin();
    expect(headers['set-cookie']?.[0]).not.toContain('AAAAAAAA');
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(true);
  });

  it('ends when its browser logs in anew', async () => {
    await ann.login();
    const before = ann.cookie;
    await ann.login();
    expect(ann.cookie).not.toBe(before);
    ann.cookie = before;
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(true);
  });

  it('ends after fifteen idle minutes', async () => {
    await ann.login();
    server.skew += 15 * minute - 1000;
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(false);
    server.skew += 15 * minute;
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(true);
  });

  it('ends after eight hours of work', async () => {
    await ann.login();
    for (let worked = 0; worked < 47; worked++) {
      server.skew += 10 * minute;
      expect(isLoginPage((await ann.get('/admin/kill')).text)).toBe(false);
    }
    server.skew += 10 * minute;
    expect(isLoginPage((await ann.get('/admin/kill')).text)).toBe(true);
  });

  it('ends with logging out, on the server too', async () => {
    await ann.login();
    const answer = await ann.post('/admin/logout', {});
    expect(answer).toMatchObject({ status: 303, headers: { location: '/admin' } });
    expect(answer.headers['set-cookie']?.[0]).toContain('__Host-latchkey=; Max-Age=0;');
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(true);
  });

  it('ends when the password is changed', async () => {
    await ann.login();
    const hash = await hashPassword('another long password', systemRandom);
    await server.beside((tx) => setPassword(tx, ann.name, hash, server.now()));
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(true);
  });

  it('ends when its administrator is removed', async () => {
    await ann.login();
    await server.beside((tx) => removeAdmin(tx, ann.name, server.now()));
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(true);
    expect((await ann.tryLogin()).status).toBe(403);
  });

  it('is good from the address it began at only', async () => {
    await ann.login();
    const elsewhere = await ann.send('GET', '/admin/custody', { localAddress: '127.0.0.9' });
    expect(isLoginPage(elsewhere.text)).toBe(true);
    expect(isLoginPage((await ann.get('/admin/custody')).text)).toBe(false);
  });

  it('is not found by two cookies of its name', async () => {
    await ann.login();
    const twice = { Cookie: `${ann.cookie}; __Host-latchkey=${'A'.repeat(43)}` };
    expect(isLoginPage((await ann.send('GET', '/admin/custody', { headers: twice })).text)).toBe(true);
  });
});

describe('a form', () => {
  const kill = () => ann.act('/admin/kill', { reason: '' });
  const isKilled = () =>
    server.beside((tx) => tx.selectFrom('switch').selectAll().execute()).then((rows) => rows.length);

  it.each([
    ['without the mark of its session', { csrf: '' }],
    ['with a mark that is none', { csrf: 'x' }],
    ['with the mark of another session', { csrf: 'other' }],
  ])('%s does nothing', async (_what, { csrf }) => {
    await ann.login();
    const bob = await addVisitor(server, `bob-${count}`);
    await bob.login();
    ann.csrf = csrf === 'other' ? bob.csrf : csrf;
    expect([400, 403]).toContain((await kill()).status);
    expect(await isKilled()).toBe(0);
  });

  it.each([
    ['from another origin', { Origin: 'https://evil.example' }],
    ['from the same host on another port', { Origin: 'https://localhost:1' }],
    ['from the same host without TLS', { Origin: 'http://localhost' }],
    ['from an origin that is hidden', { Origin: 'null' }],
    ['without an origin', { Origin: undefined }],
    ['from another site, as the browser says', { 'Sec-Fetch-Site': 'cross-site' }],
    ['from a neighbour of the site', { 'Sec-Fetch-Site': 'same-site' }],
    ["that nobody's page sent", { 'Sec-Fetch-Site': 'none' }],
  ] as [string, Record<string, string | undefined>][])('%s does nothing', async (_what, headers) => {
    await ann.login();
    const fields = { password: ann.password, code: ann.nextCode(), reason: '' };
    expect((await ann.post('/admin/kill', fields, headers)).status).toBe(403);
    expect(await isKilled()).toBe(0);
    const body = new URLSearchParams({ name: ann.name, password: ann.password, code: ann.code(), next: '' }).toString();
    const login = await ann.send('POST', '/admin/login', { body, headers });
    expect([login.status, login.headers['set-cookie']]).toEqual([403, undefined]);
  });

  it('of nobody does nothing', async () => {
    const answer = await ann.act('/admin/kill', { reason: '', csrf: 'A'.repeat(43) });
    expect(answer.status).toBe(403);
    expect(answer.text).toContain('Your session is over');
    expect(await isKilled()).toBe(0);
  });

  it('with a wrong password or a used code does nothing', async () => {
    await ann.login();
    expect((await ann.act('/admin/kill', { reason: '', password: 'wrong' })).status).toBe(403);
    expect((await ann.act('/admin/kill', { reason: '', code: '000000' })).status).toBe(403);
    const used = ann.nextCode();
    await ann.act('/admin/revive', { code: used });
    expect((await ann.act('/admin/kill', { reason: '', code: used })).status).toBe(403);
    expect(await isKilled()).toBe(0);
  });
});

describe('the pages', () => {
  it('are nowhere for sources outside, whatever they send', async () => {
    await ann.login();
    await server.stop();
    const config = readConfig(server.made.data);
    writeConfig(server.made.data, { ...config, admin: { from: ['127.0.0.8/32'] } });
    await server.resume();
    const body = new URLSearchParams({
      name: ann.name,
      password: ann.password,
      code: ann.nextCode(),
      next: '',
    }).toString();
    for (const [method, path, more] of [
      ['GET', '/admin', {}],
      ['GET', '/admin/custody', {}],
      ['GET', '/admin/approvals/%zz', {}],
      ['POST', '/admin/login', { body }],
      ['DELETE', '/admin/custody', {}],
    ] as const) {
      const there = await ann.send(method, path, more);
      expect(there).toEqual(await ann.send(method, path.replace('/admin', '/nowhere'), more));
      expect(there.status).toBe(404);
    }
    expect((await ann.send('GET', '/admin', { localAddress: '127.0.0.8' })).status).toBe(200);
    await server.stop();
    writeConfig(server.made.data, config);
    await server.resume();
  });

  it.each(['evil.example', 'localhost', 'localhost:1', '127.0.0.1.nip.io'])(
    'are nowhere under the name %j',
    async (host) => {
      await ann.login();
      const there = await ann.send('GET', '/admin/custody', { headers: { Host: host } });
      expect(there).toEqual(await ann.send('GET', '/nowhere', { headers: { Host: host } }));
      expect(there.status).toBe(404);
    },
  );

  it('come with their policy and are not kept by the browser', async () => {
    await ann.login();
    for (const path of ['/admin/custody', '/admin/approvals', '/admin/kill', '/admin/login']) {
      const { headers } = await ann.get(path);
      expect(headers['content-security-policy']).toBe(
        "default-src 'none';style-src 'self';img-src 'self' data:;form-action 'self';frame-ancestors 'none';base-uri 'none'",
      );
      expect(headers['cache-control']).toBe('no-store');
    }
  });

  it('show nothing of the server to who is not logged in', async () => {
    const paths = [
      '/admin',
      '/admin/custody',
      '/admin/custody/7d',
      '/admin/approvals',
      '/admin/clients/client-0',
      '/admin/kill',
    ];
    for (const path of paths) {
      const { text } = await ann.get(path);
      expect(isLoginPage(text)).toBe(true);
      expect(text.replace(/name="next" value="[^"]*"/, '')).not.toMatch(/client-0|ann-|Audit|csrf/);
    }
  });

  it('do nothing while nothing can be recorded, and say so', async () => {
    await ann.login();
    const file = databaseFile(server.made.data);
    renameSync(file, `${file}.gone`); // the database file is gone under the server's feet
    server.skew += 10_000;
    try {
      expect((await ann.get('/admin/custody')).text).toContain('Records cannot be written');
      const answer = await ann.act('/admin/kill', { reason: '' });
      expect(answer.status).toBe(503);
      expect(answer.text).toContain('nothing was done');
      expect((await ann.tryLogin()).headers['set-cookie']).toBeUndefined();
    } finally {
      renameSync(`${file}.gone`, file);
    }
    server.skew += 10_000;
    expect((await ann.get('/admin/custody')).text).toContain('Releasing');
  });

  it('take no yes for what was not shown', async () => {
    await ann.login();
    const id = await heldRequest(server, 0);
    const shown = (await ann.get(`/admin/approvals/${id}`)).text;
    const seen = /name="seen" value="([0-9a-f]{16})"/.exec(shown)?.[1] ?? '';
    const gates = JSON.stringify([{ gate: 'schedule', reason: 'outside' }]);
    await server.beside((tx) => tx.updateTable('approval').set({ gates }).where('id', '=', id).execute());
    const state = () => server.beside((tx) => findApproval(tx, id, server.now())).then((approval) => approval.state);
    const unproven = await ann.act(`/admin/approvals/${id}`, { decision: 'deny', seen, password: 'wrong' });
    expect([unproven.status, await state()]).toEqual([403, 'pending']);
    const answer = await ann.act(`/admin/approvals/${id}`, { decision: 'approve', seen });
    expect([answer.status, await state()]).toEqual([409, 'pending']);
    expect(answer.text).toContain('schedule');
    expect((await ann.act(`/admin/approvals/${id}`, { decision: 'perhaps', seen })).status).toBe(400);
    expect((await ann.act(`/admin/approvals/${id}`, { decision: 'deny', seen })).status).toBe(200);
    expect(await state()).toBe('denied');
    await server.beside((tx) => tx.updateTable('approval').set({ state: 'withdrawn' }).where('id', '=', id).execute());
    const now = /name="seen" value="([0-9a-f]{16})"/.exec(answer.text)?.[1] ?? '';
    const late = await ann.act(`/admin/approvals/${id}`, { decision: 'approve', seen: now });
    expect([late.status, await state()]).toEqual([409, 'withdrawn']);
  });

  it('leave no secret in log, audit or database', async () => {
    await ann.login();
    const token = ann.cookie.split('=')[1] ?? '?';
    await ann.tryLogin({ password: 'CANARY wrong' });
    const rows = await server.beside((tx) => tx.selectFrom('admin').selectAll().execute());
    const kept = JSON.stringify([server.log, await server.audit(), rows]);
    for (const secret of ['CANARY', token, ann.csrf, ann.secret]) expect(kept).not.toContain(secret);
  });
});

describe('a password hash', () => {
  it('is Argon2id as OWASP asks for at least, salted', async () => {
    const [one, two] = [
      await hashPassword('a long password', systemRandom),
      await hashPassword('a long password', systemRandom),
    ];
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(one).not.toBe(two);
    expect(await isPassword('a long password', one)).toBe(true);
    expect(await isPassword('a long passwore', one)).toBe(false);
  });

  it('is refused when nobody here wrote it', async () => {
    for (const text of ['', 'a long password', '$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA']) {
      await expect(isPassword('a long password', text)).rejects.toMatchObject({ code: 'account_damaged' });
    }
  });
});

it('csrfOf() finds nothing where there is nothing', () => {
  expect(csrfOf('<p>csrf</p>')).toBe('');
});
