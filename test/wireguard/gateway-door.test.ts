import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { signatureOf } from '../../wireguard/gateways/signature.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';
import { askSigned, newNonce, registerGateway, type SignedAsk, type TestGateway } from './signed-request.ts';

const CREATE = '/api/v1/configurations/';
let hub: RunningHub;
let berlin: TestGateway;
let paris: TestGateway;
beforeAll(async () => {
  hub = await startRunningHub();
  berlin = await registerGateway(hub, 'berlin');
  paris = await registerGateway(hub, 'paris');
});
afterAll(() => hub.stop());
afterEach(() => {
  hub.clock.skew = 0;
});

const state = (): Promise<string> =>
  hub.data.store.read(async (db) =>
    JSON.stringify([
      await db.selectFrom('peer').selectAll().execute(),
      await db.selectFrom('free_range').selectAll().execute(),
      await db.selectFrom('gateway').selectAll().execute(),
    ]),
  );

/** Asks, expects to be refused, and that nothing changed. */
async function refuse(ask: SignedAsk, method = 'POST', path = CREATE, by = berlin): Promise<void> {
  const before = await state();
  const body = method === 'POST' ? { body: { name: 'p' } } : {};
  expect(await askSigned(hub, by, method, path, { ...body, ...ask })).toMatchObject({
    status: 401,
    body: { code: 'UNAUTHORIZED' },
  });
  expect(await state()).toBe(before);
}

test.each(['X-Timestamp', 'X-Nonce', 'X-Signature', 'X-Gateway'])('a request without %s is refused', (name) =>
  refuse({ headers: { [name]: undefined } }),
);

test.each([
  ['X-Timestamp', 'now'],
  ['X-Timestamp', '1e9'],
  ['X-Timestamp', '0'],
  ['X-Timestamp', '-1'],
  ['X-Timestamp', ''],
  ['X-Timestamp', '99999999999999'],
  ['X-Nonce', ''],
  ['X-Nonce', 'short'],
  ['X-Nonce', 'x'.repeat(65)],
  ['X-Nonce', 'with a blank in it, and a comma'],
  ['X-Signature', ''],
  ['X-Signature', 'f'.repeat(63)],
  ['X-Signature', 'f'.repeat(64)],
  ['X-Signature', 'F'.repeat(64)],
  ['X-Signature', `${'f'.repeat(64)}, ${'f'.repeat(64)}`],
  ['X-Gateway', ''],
  ['X-Gateway', 'london'],
  ['X-Gateway', 'BERLIN'],
  ['X-Gateway', 'berlin,paris'],
  ['X-Gateway', "' or 1=1 --"],
])('a request with %s "%s" is refused', (name, value) => refuse({ headers: { [name]: value } }));

test('a nonce that is not of its form is refused also when it was signed', async () => {
  for (const nonce of ['short', 'x'.repeat(65), `${newNonce()}=`]) await refuse({ nonce });
});

test('the signature of another gateway is refused', async () => {
  await refuse({ headers: { 'X-Gateway': 'paris' } });
  await refuse({}, 'POST', CREATE, { ...paris, name: 'berlin' });
});

test('any bit turned in the body is refused', async () => {
  const signed = '{"name":"p"}';
  const bytes = Buffer.from(signed);
  let sent = 0;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const turned = Buffer.from(bytes);
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const body = turned.toString('utf8');
    // what is no JSON any more does not get as far as the door
    if (!isJson(body) || Buffer.from(body).compare(turned) !== 0) continue;
    sent += 1;
    await refuse({ sent: { body } });
  }
  expect(sent).toBeGreaterThan(20);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('blanks around the body are part of it', async () => {
  for (const body of ['{"name":"p"} ', ' {"name":"p"}', '{"name": "p"}', '{"name":"p"}\n'])
    await refuse({ sent: { body } });
});

test('another path, another query and another method are refused', async () => {
  await refuse({ sent: { path: '/api/v1/configurations' } });
  const status = '/api/v1/server/status';
  await refuse({ sent: { path: `${status}?limit=2` } }, 'GET', status);
  await refuse({ sent: { path: status } }, 'GET', `${status}?limit=2`);
  await refuse({ sent: { path: `${status}?limit=3` } }, 'GET', `${status}?limit=2`);
  await refuse({ sent: { path: '/api/v1/server/metrics' } }, 'GET', status);
  const { publicKey } = generateKeyPair();
  const path = `/api/v1/configurations/${encodeURIComponent(publicKey)}`;
  await refuse({ sent: { path: path.replace('%3D', '%3d') } }, 'DELETE', path);
  await refuse({ sent: { path: path.replace('%3D', '=') } }, 'DELETE', path);
  await refuse({ sent: { method: 'POST', path: CREATE, body: '{}' } }, 'DELETE', path);
});

test.each([
  [-301, 401],
  [-300, 200],
  [0, 200],
  [300, 200],
  [301, 401],
])('a gateway whose clock is %i seconds off is answered %i', async (seconds, status) => {
  const { now } = hub.clock;
  const whole = Math.floor(now() / 1000) * 1000;
  hub.clock.now = () => whole; // at the very beginning of a second, and nothing passes
  try {
    expect(await askSigned(hub, berlin, 'GET', '/api/v1/ip-usage', { seconds })).toMatchObject({ status });
  } finally {
    hub.clock.now = now;
  }
});

test('of many requests with one nonce exactly one is carried out', async () => {
  const nonce = newNonce();
  const before = await count();
  const replies = await Promise.all(
    Array.from({ length: 30 }, () => askSigned(hub, berlin, 'POST', CREATE, { nonce, body: { name: 'once' } })),
  );
  expect(replies.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 29 }, () => 401)]);
  expect(await count()).toBe(before + 1);
});

const count = async (): Promise<number> =>
  (await hub.data.store.read((db) => db.selectFrom('peer').select('id').execute())).length;

test('a nonce is good once for each gateway, and for no other call', async () => {
  const nonce = newNonce();
  expect(await askSigned(hub, berlin, 'GET', '/api/v1/ip-usage', { nonce })).toMatchObject({ status: 200 });
  expect(await askSigned(hub, paris, 'GET', '/api/v1/ip-usage', { nonce })).toMatchObject({ status: 200 });
  await refuse({ nonce });
  await refuse({ nonce }, 'GET', '/api/v1/server/status');
});

test('nobody without the secret uses a nonce up', async () => {
  const nonce = newNonce();
  await refuse({ nonce, headers: { 'X-Signature': 'f'.repeat(64) } });
  await refuse({ nonce, seconds: -301 });
  expect(await askSigned(hub, berlin, 'POST', CREATE, { nonce, body: { name: 'mine' } })).toMatchObject({
    status: 201,
  });
});

test('all refusals are the same to the byte, but for the time of day', async () => {
  const good = (): Record<string, string> => {
    const [timestamp, nonce] = [String(Math.floor(hub.clock.now() / 1000)), newNonce()];
    const parts = { method: 'GET', path: '/api/v1/ip-usage', timestamp, nonce, body: new Uint8Array(0) };
    const signature = signatureOf(berlin.secret, parts);
    return { 'X-Timestamp': timestamp, 'X-Nonce': nonce, 'X-Signature': signature, 'X-Gateway': 'berlin' };
  };
  const used = good();
  expect(await raw(used)).toContain('HTTP/1.1 200 OK');
  const answers = new Set<string>();
  for (const headers of [
    {},
    used, // once more
    { ...good(), 'X-Gateway': 'london' },
    { ...good(), 'X-Gateway': 'paris' },
    { ...good(), 'X-Gateway': '?' },
    { ...good(), 'X-Signature': 'f'.repeat(64) },
    { ...good(), 'X-Signature': 'no' },
    { ...good(), 'X-Nonce': newNonce() },
    { ...good(), 'X-Nonce': 'short' },
    { ...good(), 'X-Timestamp': '1' },
    { ...good(), 'X-Timestamp': 'x' },
    { 'X-Gateway': 'berlin' },
    { 'X-Gateway': 'london' },
  ]) {
    answers.add((await raw(headers)).replace(/^Date: .*$/m, 'Date: -'));
  }
  const old = good();
  hub.clock.skew = 302_000;
  answers.add((await raw(old)).replace(/^Date: .*$/m, 'Date: -'));
  expect([...answers]).toEqual([expect.stringContaining('HTTP/1.1 401 Unauthorized')]);
});

/** The bytes of an answer, as they come over the line. */
function raw(headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const line = connect(hub.port, '127.0.0.1');
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    let text = '';
    line.setEncoding('latin1');
    line.on('data', (chunk: string) => {
      text += chunk;
    });
    line.on('error', reject);
    line.on('close', () => resolve(text));
    line.write(`GET /api/v1/ip-usage HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n${lines.join('')}\r\n`);
  });
}

test('no secret is in the log, in the audit log or in any answer', async () => {
  const texts = [hub.log(), JSON.stringify(await hub.audit())];
  for (const { secret } of [berlin, paris]) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      for (const text of texts) expect(text).not.toContain(secret.toString(encoding));
    }
  }
});
