import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { publicKeyOf } from '../../wireguard/keys.ts';
import { drawObfuscation } from '../../wireguard/obfuscation/levels.ts';
import { freePort } from '../harness/free-port.ts';
import { hasProgram } from '../harness/programs.ts';
import { readQrPng } from '../harness/qr-reader.ts';
import { testInterface } from './hub-store.ts';
import { handingOn, type OddServer, oddServer, saying } from './odd-server.ts';
import { type PhpResult, php } from './php-script.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const missing = !hasProgram('php') ? 'php is not installed' : hasProgram('openssl') ? null : 'openssl is not installed';
const tokens = [
  { name: 'backend', scopes: ['devices'] },
  { name: 'reader', scopes: ['peers:read'] },
] as const;

/** What a hub with much room tells of itself. */
function infoOf(change: object): string {
  const info = { name: 'odd', status: 'online', interface: 'wg0', ip: 'x', port: 1, public_key: 'x' };
  return JSON.stringify({ ...info, dns: [], networks: [], free_addresses: 100_000, amneziawg: null, ...change });
}

describe.skipIf(missing !== null)(`the client for PHP${missing === null ? '' : ` (${missing})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'lk-php-'));
  const odd: OddServer[] = [];
  let hub: RunningHub;
  /** Has one address. */
  let small: RunningHub;
  /** Has much room, for AmneziaWG only. */
  let high: RunningHub;
  let closedPort: number;

  beforeAll(async () => {
    const tiny = testInterface({
      name: 'wg1',
      networks: ['10.1.0.0/30'],
      addresses: ['10.1.0.1/30'],
      listenPort: 51821,
    });
    hub = await startRunningHub({ tokens, more: [tiny], config: { name: 'large' } });
    small = await startRunningHub({
      tokens,
      config: { name: 'small' },
      interface: { networks: ['10.2.0.0/30'], addresses: ['10.2.0.1/30'] },
    });
    high = await startRunningHub({
      tokens,
      config: { name: 'high' },
      interface: {
        networks: ['10.3.0.0/16'],
        addresses: ['10.3.0.1/16'],
        level: 'high',
        obfuscation: drawObfuscation('high', systemRandom),
      },
    });
    closedPort = await freePort();
  });
  afterAll(async () => {
    await Promise.all([hub.stop(), small.stop(), high.stop(), ...odd.map((one) => one.stop())]);
    rmSync(folder, { recursive: true });
  });

  const at = (one: RunningHub): object => ({ url: one.url, token: one.token('backend') });
  const open = '$hub = new Client($given["url"], $given["token"], 20.0, 10.0, $given["ca"] ?? null);';
  const call = (body: string, given: object = {}): Promise<PhpResult> =>
    php(`${open} ${body}`, { ...at(hub), ...given });
  const devices = (of: RunningHub): Promise<unknown[]> =>
    of.data.store.read((db) => db.selectFrom('peer').select('public_key').where('status', '<>', 'deleted').execute());

  describe('beside a running hub', () => {
    test('makes a device, whose configuration, key and QR code belong together', async () => {
      const { returned } = await call('return get_object_vars($hub->create("anna", "Zoë’s \\"phone\\""));');
      expect(returned).toMatchObject({
        assignedIp: expect.stringMatching(/^10\.0\.1\.\d+$/),
        assignedIp6: expect.stringMatching(/^fd42:4242:1::[0-9a-f]+$/),
        qrReason: null,
        serverName: 'large',
        client: 'wireguard',
        live: true,
      });
      expect(publicKeyOf(readConfig(returned.config).interface.privateKey ?? '')).toBe(returned.publicKey);
      expect(readQrPng(returned.qrCode)).toBe(returned.config);
      const row = await hub.data.store.read((db) =>
        db.selectFrom('peer').selectAll().where('public_key', '=', returned.publicKey).executeTakeFirstOrThrow(),
      );
      expect(row).toMatchObject({ name: 'Zoë’s "phone"', owner: 'anna', kind: 'device' });
    });

    test('lists every device once, page after page, and removes them', async () => {
      const { returned } = await call(`
        foreach ([1, 2, 3, 4, 5] as $at) $made[] = $hub->create("ben", "device $at")->publicKey;
        foreach ($hub->list(null, 2) as $one) if ($one->userId === "ben") $listed[] = $one->publicKey;
        $last = iterator_to_array($hub->list(), false);
        foreach ($made as $key) $hub->remove($key);
        foreach ($hub->list() as $one) $left[] = $one->publicKey;
        return ["made" => $made, "listed" => $listed, "left" => $left ?? [], "last" => get_object_vars(end($last))];`);
      expect(returned.listed).toEqual(returned.made);
      expect(returned.left.filter((key: string) => returned.made.includes(key))).toEqual([]);
      expect(returned.last).toEqual({
        publicKey: returned.made.at(-1),
        userId: 'ben',
        deviceName: 'device 5',
        status: 'pending',
        endpoint: null,
        allowedIps: [],
        lastHandshake: null,
        transferRx: 0,
        transferTx: 0,
      });
    });

    test('tells what a hub is, and how it is, the latter without a token', async () => {
      const { returned } = await call(
        `$bare = new Client($given["url"], "x");
         return ["info" => get_object_vars($hub->serverInfo()), "health" => $bare->health()->isOnline(), "at" => $bare->health()->timestamp->format("v")];`,
      );
      expect(returned.info).toMatchObject({ name: 'large', interface: 'wg0', port: 51820, amneziaWg: null });
      expect(returned).toMatchObject({ health: true, at: expect.stringMatching(/^\d{3}$/) });
    });

    test('asks for the token each time where it is made by a function', async () => {
      const body = `$calls = 0; $token = $given["token"];
        $hub = new Client($given["url"], function () use (&$calls, $token) { $calls++; return $token; });
        $hub->serverInfo(); $hub->serverInfo(); return $calls;`;
      expect((await php(body, at(hub))).returned).toBe(2);
    });

    test.each([
      ['a wrong token', '$hub->serverInfo();', { token: 'nobody' }, ['Unauthorized', 'UNAUTHORIZED', 401, null]],
      [
        'a token for other things',
        '$hub->serverInfo();',
        { token: 'reader' },
        ['Unauthorized', 'SCOPE_MISSING', 403, null],
      ],
      ['no user', '$hub->create("", "phone");', {}, ['InvalidRequest', 'INVALID_REQUEST', 400, 'user_id']],
      [
        'a line in a name',
        '$hub->create("anna", "a\\nb");',
        {},
        ['InvalidRequest', 'INVALID_REQUEST', 400, 'device_name'],
      ],
      ['what is no UTF-8', '$hub->create("anna", "\\xff");', {}, ['InvalidRequest', 'invalid_request', 0, null]],
      [
        'an interface that is not there',
        '$hub->create("anna", "phone", "wg9");',
        {},
        ['NotFound', 'INTERFACE_UNKNOWN', 404, 'interface'],
      ],
      [
        'a device that is not there',
        `$hub->remove("${'A'.repeat(42)}E=");`,
        {},
        ['NotFound', 'PEER_NOT_FOUND', 404, 'public_key'],
      ],
      ['what is no key', '$hub->remove("abc");', {}, ['InvalidRequest', 'INVALID_KEY', 400, 'public_key']],
    ] as const)('throws for %s what can be told apart, and nothing is made', async (_, body, more, expected) => {
      const before = await devices(hub);
      const given = 'token' in more && more.token === 'reader' ? { token: hub.token('reader') } : more;
      const { thrown } = await call(body, given);
      expect([thrown?.class, thrown?.code, thrown?.status, thrown?.field]).toEqual(expected);
      expect(await devices(hub)).toEqual(before);
    });

    test('throws for a full interface, and for a program that does not fit', async () => {
      const { thrown } = await call('$hub->create("anna", "one", "wg1"); $hub->create("anna", "two", "wg1");');
      expect(thrown).toMatchObject({ class: 'PoolExhausted', code: 'POOL_EXHAUSTED', status: 503 });
      expect(thrown?.detail).toMatch(/every address/);
      const unfit = await call('$hub->create("anna", "phone", null, "wireguard");', at(high));
      expect(unfit.thrown).toMatchObject({ class: 'ClientUnfit', code: 'CLIENT_UNFIT', status: 409 });
    });

    test.each([
      ['a refusal', '$hub->serverInfo("wg9");'],
      ['a field that is wrong', '$hub->create("", "phone");'],
      ['what is never sent', '$hub->create("anna", "\\xff");'],
      ['a list', 'foreach ($hub->list("wg9") as $one);'],
      ['a pool', '(new HubPool(["one" => $hub]))->create("", "phone");'],
      ['a URL that is none', 'new Client("ftp://hub", $given["token"]);'],
      ['an attempt to serialize it', 'serialize($hub);'],
      ['what somebody logs of a device', 'throw new Exception(print_r([$hub, $hub->create("anna", "phone")], true));'],
    ])('tells no secret in %s, traces with their arguments included', async (_, body) => {
      const { thrown, trace } = await call(`(function (string $canary) use ($hub, $given) { ${body} })("a canary");`);
      expect(thrown).toBeDefined();
      expect(trace).toContain('a canary'); // arguments are in it
      expect(trace).not.toContain(hub.token('backend'));
      expect(trace).not.toMatch(/PrivateKey|data:image/);
    });
  });

  describe('in front of something else', () => {
    async function facing(...given: Parameters<typeof oddServer>): Promise<OddServer> {
      const server = await oddServer(...given);
      odd.push(server);
      return server;
    }
    const json = 'application/json';
    const problem = 'application/problem+json';

    test('knows that nothing happened where nobody listens', async () => {
      const url = `http://127.0.0.1:${closedPort}`;
      const { thrown } = await call('$hub->create("anna", "phone");', { url });
      expect(thrown).toMatchObject({
        class: 'Unreachable',
        code: 'connection_failed',
        status: 0,
        mayHaveHappened: false,
      });
      expect(thrown?.message).toContain(url);
    });

    test('does not know what happened where no answer comes in time', async () => {
      const silent = await facing(() => undefined);
      const body = '$hub = new Client($given["url"], "x", 2.0); $hub->create("anna", "phone");';
      const { thrown } = await php(body, { url: `http://127.0.0.1:${silent.port}` });
      expect(thrown).toMatchObject({ class: 'Unreachable', code: 'timeout', mayHaveHappened: true });
      expect(silent.heard).toEqual(['POST /api/create-peer']);
    });

    test.each([
      ['a page of a web server', saying(502, 'text/html', '<html>'), 'BadAnswer', 'bad_answer', 502],
      ['a page that says all is well', saying(200, 'text/html', '<html>'), 'BadAnswer', 'bad_answer', 200],
      ['JSON of another kind', saying(200, json, '{"hello":"world"}'), 'BadAnswer', 'bad_answer', 200],
      ['a list', saying(200, json, '[]'), 'BadAnswer', 'bad_answer', 200],
      ['what only begins as JSON', saying(200, json, '{"name":'), 'BadAnswer', 'bad_answer', 200],
      ['a problem that says all is well', saying(200, problem, '{"code":"X"}'), 'BadAnswer', 'bad_answer', 200],
      ['a problem without a code', saying(500, problem, '{}'), 'BadAnswer', 'bad_answer', 500],
      ['a failure', saying(500, problem, '{"code":"INTERNAL_ERROR"}'), 'ServerFailure', 'INTERNAL_ERROR', 500],
      [
        'a wish for patience',
        saying(429, problem, '{"code":"TOO_MANY_REQUESTS"}'),
        'TooManyRequests',
        'TOO_MANY_REQUESTS',
        429,
      ],
      [
        'more than a hub says',
        saying(200, json, infoOf({ dns: ['x'.repeat(5_000_000)] })),
        'BadAnswer',
        'bad_answer',
        200,
      ],
    ] as const)('throws for %s', async (_, handler, name, code, status) => {
      const { port } = await facing(handler);
      const { thrown } = await call('$hub->serverInfo();', { url: `http://127.0.0.1:${port}` });
      expect(thrown).toMatchObject({ class: name, code, status });
    });

    test('does not go where it is sent on to', async () => {
      const elsewhere = await facing(saying(200, json, '{}'));
      const location = `http://127.0.0.1:${elsewhere.port}/api/server-info`;
      const { port } = await facing(saying(307, json, '{}', { Location: location }));
      const { thrown } = await call('$hub->serverInfo();', { url: `http://127.0.0.1:${port}` });
      expect(thrown).toMatchObject({ class: 'BadAnswer', status: 307 });
      expect(elsewhere.heard).toEqual([]);
    });

    test('takes a degraded hub for one that answers', async () => {
      const body = '{"status":"degraded","server":"hub","timestamp":"2026-01-02T03:04:05.678Z"}';
      const { port } = await facing(saying(503, json, body));
      const script = '$health = $hub->health(); return [$health->isOnline(), $health->timestamp->format(DATE_ATOM)];';
      const { returned } = await call(script, { url: `http://127.0.0.1:${port}` });
      expect(returned).toEqual([false, '2026-01-02T03:04:05+00:00']);
    });

    test.each([
      'http://hub.example',
      'http://10.0.1.1:8090',
      'http://127.0.0.1.example',
      'ftp://127.0.0.1',
      'https://user:secret@hub.example',
      'https://hub.example/path',
      'https://hub.example?x',
      'hub.example',
      '',
    ])('refuses %j as a URL', async (url) => {
      expect((await call('return 1;', { url })).thrown).toMatchObject({ class: 'InvalidArgumentException' });
    });

    test('sends its token in clear only to this machine, and where a tunnel is said to be around', async () => {
      const body =
        'new Client("http://10.0.1.1:8090", "x", plainHttpInsideTunnel: true); new Client("http://[::1]:80", "x"); return 1;';
      expect((await php(body, {})).returned).toBe(1);
    });
  });

  describe('by HTTPS', () => {
    const certificate = async (name: string, host: string): Promise<{ key: string; cert: string; file: string }> => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
      const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      const names = ['-subj', '/CN=hub', '-addext', `subjectAltName=${host}`];
      await run(['openssl', 'req', ...kind, ...names, '-keyout', key, '-out', cert], { timeoutMs: 20_000 });
      return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8'), file: cert };
    };

    test('believes the certificates it is told to, and a hub behind them serves', async () => {
      const { key, cert, file } = await certificate('good', 'IP:127.0.0.1');
      const front = await oddServer(handingOn(hub.port), { key, cert });
      odd.push(front);
      const given = { url: `https://127.0.0.1:${front.port}`, ca: file };
      expect((await call('return $hub->serverInfo()->name;', given)).returned).toBe('large');
      expect((await call('return $hub->create("anna", "phone")->serverName;', given)).returned).toBe('large');
    });

    test.each([
      ['nobody vouches for', 'IP:127.0.0.1', false],
      ['is another’s', 'DNS:other.example', true],
    ])('sends nothing to a server whose certificate %s', async (words, host, isTrusted) => {
      const { key, cert, file } = await certificate(words.slice(0, 2), host);
      const front = await oddServer(handingOn(hub.port), { key, cert });
      odd.push(front);
      const given = { url: `https://127.0.0.1:${front.port}`, ...(isTrusted ? { ca: file } : {}) };
      const { thrown } = await call('$hub->create("anna", "phone");', given);
      expect(thrown).toMatchObject({ class: 'Unreachable', code: 'tls_failed', mayHaveHappened: false });
      expect(front.heard).toEqual([]);
    });
  });

  describe('with several hubs', () => {
    const place = `$pool = new HubPool(array_map(fn ($one) => new Client($one["url"], $one["token"], $one["timeout"] ?? 20.0, 10.0), $given["hubs"]));
      $placed = $pool->create("carl", "phone", $given["client"] ?? null);
      return ["hub" => $placed->hub, "server" => $placed->device->serverName, "key" => $placed->device->publicKey,
        "over" => array_map(fn ($one) => $one->errorCode, $placed->passedOver)];`;
    const nobody = { url: 'http://127.0.0.1:1', token: 'x' };
    const pool = (hubs: object, more: object = {}): Promise<PhpResult> => php(place, { hubs, ...more });

    test('a device goes where most addresses are free, and hubs that do not answer are passed over', async () => {
      const down = { ...nobody, url: `http://127.0.0.1:${closedPort}` };
      const { returned } = await pool({ down, small: at(small), large: at(hub) });
      expect(returned).toMatchObject({ hub: 'large', server: 'large', over: { down: 'connection_failed' } });
      const rows = JSON.stringify(await devices(hub));
      expect(rows).toContain(returned.key);
      expect(await devices(small)).toEqual([]);
    });

    test('one that the program does not fit, or whose token is refused, is passed over', async () => {
      const hubs = { high: at(high), stranger: { ...at(high), token: 'x' }, large: at(hub) };
      const { returned } = await pool(hubs, { client: 'wireguard' });
      expect(returned).toMatchObject({ hub: 'large', over: { high: 'CLIENT_UNFIT', stranger: 'UNAUTHORIZED' } });
      expect(await devices(high)).toEqual([]);
      expect((await pool(hubs)).returned).toMatchObject({ hub: 'high' });
    });

    test('a hub whose interface is down comes after one that has less room', async () => {
      const body = infoOf({ status: 'degraded' });
      const degraded = await oddServer(saying(200, 'application/json', body));
      odd.push(degraded);
      const { returned } = await pool({
        degraded: { ...nobody, url: `http://127.0.0.1:${degraded.port}` },
        large: at(hub),
      });
      expect(returned).toMatchObject({ hub: 'large', over: {} });
      expect(degraded.heard).toEqual(['GET /api/server-info']);
    });

    test('a device that a hub may have made without an answer is not made elsewhere', async () => {
      const body = infoOf({});
      const mute = await oddServer((incoming, outgoing) => {
        if (incoming.method === 'GET') saying(200, 'application/json', body)(incoming, outgoing);
      });
      odd.push(mute);
      const before = await devices(hub);
      const { thrown } = await pool({
        mute: { ...nobody, url: `http://127.0.0.1:${mute.port}`, timeout: 4.0 },
        large: at(hub),
      });
      expect(thrown).toMatchObject({ class: 'Unreachable', code: 'timeout', mayHaveHappened: true });
      expect(await devices(hub)).toEqual(before);
    });

    test('all of them full is told as that, and none that answers with the reason of each', async () => {
      const only = { small: at(small) };
      expect((await pool(only)).returned).toMatchObject({ hub: 'small' });
      expect((await pool({ ...only, down: nobody })).thrown).toMatchObject({ class: 'PoolExhausted', status: 503 });
      const { thrown } = await pool({ down: nobody, stranger: { ...at(hub), token: 'x' } });
      expect(thrown).toMatchObject({
        class: 'NoHub',
        code: 'no_hub',
        reasons: { down: 'connection_failed', stranger: 'UNAUTHORIZED' },
      });
    });

    test('what is wrong with the request itself is thrown as it is', async () => {
      const { thrown } = await php(place.replace('"phone"', '""'), { hubs: { large: at(hub) } });
      expect(thrown).toMatchObject({ class: 'InvalidRequest', field: 'device_name' });
    });

    test('a device is removed where it was placed', async () => {
      const { returned } = await php(
        `${place.replace('return [', '$kept = [')}
         $pool->hub($kept["hub"])->remove($kept["key"]); return $kept["key"];`,
        { hubs: { small: at(small), large: at(hub) } },
      );
      expect(JSON.stringify(await devices(hub))).not.toContain(returned);
    });

    test('a pool without hubs, and a hub that is in none, are mistakes of the caller', async () => {
      expect((await php('new HubPool([]);', {})).thrown).toMatchObject({ class: 'InvalidArgumentException' });
      const body = '(new HubPool(["a" => new Client("https://hub.example", "x")]))->hub("b");';
      expect((await php(body, {})).thrown).toMatchObject({ class: 'OutOfBoundsException' });
    });
  });
});
