import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { selfSigned } from '../../platform/certificates/self-signed.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { run } from '../../platform/run.ts';
import { installTokenHash } from '../../wireguard/spokes/install-token.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { freePort } from '../harness/free-port.ts';
import { findProgram } from '../harness/programs.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

/** The site files as they stand in the room, with what a reader has to change changed. */
const site = (name: string): string => readFileSync(join(import.meta.dirname, '../../wireguard/front', name), 'utf8');

function changed(text: string, changes: readonly (readonly [string, string])[]): string {
  let result = text;
  for (const [from, to] of changes) {
    if (!result.includes(from)) throw new Error(`the site file has no ${from}`);
    result = result.replaceAll(from, to);
  }
  return result;
}

interface Front {
  readonly folder: string;
  readonly http: number;
  readonly https: number;
  /** Whether its own program finds nothing wrong with it. */
  check(): Promise<boolean>;
  start(): Promise<BackgroundProcess>;
}

const kinds = ['nginx', 'caddy'] as const;
type Kind = (typeof kinds)[number];

let folder: string;
let certificate: string;
let hub: RunningHub;
const fronts = new Map<Kind, Front>();
const running = new Map<Kind, BackgroundProcess>();

/** Everybody is 127.0.0.2, who manages the hub is 127.0.0.3. */
const anybody = '127.0.0.2';
const manager = '127.0.0.3';

async function nginxFront(program: string, at: string, text: string): Promise<Front> {
  const [http, https] = [await freePort(), await freePort()];
  const places = changed(text, [
    ['listen 80;', `listen 127.0.0.1:${http};`],
    ['listen 443 ssl;', `listen 127.0.0.1:${https} ssl;`],
    ['    listen [::]:80;\n', ''],
    ['    listen [::]:443 ssl;\n', ''],
    ['/var/log/nginx/', `${at}/`],
    ['/etc/ssl/latchkey/fullchain.pem', join(folder, 'site.crt')],
    ['/etc/ssl/latchkey/privkey.pem', join(folder, 'site.key')],
    ['203.0.113.0/24', `${manager}/32`],
    ['127.0.0.1:8090', `127.0.0.1:${hub.port}`],
  ]);
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((one) => `${one}_temp_path ${at}/${one};`);
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    join(at, 'nginx.conf'),
    `${user} daemon off; worker_processes 1; pid ${at}/pid; events { worker_connections 64; }
    http { ${folders.join(' ')} ${places} }`,
  );
  const argv: Argv = [program, '-e', join(at, 'start.log'), '-c', join(at, 'nginx.conf')];
  return {
    ...{ folder: at, http, https },
    check: async () => (await run([...argv, '-t'], { timeoutMs: 20_000, allowExit: 'any' })).exit === 0,
    start: () => BackgroundProcess.start(argv, { readyIf: () => answers(https) }),
  };
}

async function caddyFront(program: string, at: string, text: string): Promise<Front> {
  const [http, https] = [await freePort(), await freePort()];
  // nothing is asked of the internet, and nothing told the machine
  const own = `{\n\tadmin off\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n\thttp_port ${http}\n\thttps_port ${https}\n\tacme_ca https://127.0.0.1:1/\n\tservers {`;
  const places = changed(text, [
    ['{\n\tservers {', own],
    [
      '\t# tls /etc/ssl/latchkey/fullchain.pem /etc/ssl/latchkey/privkey.pem',
      `\ttls ${folder}/site.crt ${folder}/site.key`,
    ],
    ['/var/log/caddy/', `${at}/`],
    ['203.0.113.0/24', `${manager}/32`],
    ['127.0.0.1:8090', `127.0.0.1:${hub.port}`],
  ]);
  writeFileSync(join(at, 'Caddyfile'), places);
  const env = { HOME: at, XDG_DATA_HOME: at, XDG_CONFIG_HOME: at };
  const words = ['--config', join(at, 'Caddyfile'), '--adapter', 'caddyfile'];
  return {
    ...{ folder: at, http, https },
    check: async () =>
      (await run([program, 'validate', ...words], { timeoutMs: 20_000, allowExit: 'any', env })).exit === 0,
    start: () => BackgroundProcess.start([program, 'run', ...words], { env, readyIf: () => answers(https) }),
  };
}

const makers = { nginx: { make: nginxFront, file: 'nginx.conf' }, caddy: { make: caddyFront, file: 'Caddyfile' } };

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => resolve(socket.destroy().destroyed));
    socket.on('error', () => resolve(false));
  });
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Ask {
  readonly from?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly plain?: boolean;
}

/** A request to the site, over real TLS unless told, its certificate checked. */
function ask(
  kind: Kind,
  path: string,
  { from = anybody, method = 'GET', headers = {}, body, plain = false }: Ask = {},
) {
  const front = fronts.get(kind);
  const about = { host: '127.0.0.1', localAddress: from, method, path, agent: false } as const;
  const all = { Host: 'hub.example.org', 'User-Agent': 'curl/8.5.0', ...headers };
  return new Promise<Reply>((resolve, reject) => {
    const asked = plain
      ? httpRequest({ ...about, port: front?.http, headers: all })
      : httpsRequest({ ...about, port: front?.https, headers: all, servername: 'hub.example.org', ca: certificate });
    asked.on('response', (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(parts).toString() }),
      );
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Everything the web server wrote, on its streams and into its folder. */
function written(kind: Kind): string {
  const at = fronts.get(kind)?.folder ?? '';
  const files = readdirSync(at, { recursive: true, encoding: 'utf8' }).map((name) => join(at, name));
  const texts = files.filter((path) => statSync(path).isFile() && !/conf$|Caddyfile$/.test(path));
  return [running.get(kind)?.output() ?? '', ...texts.map((path) => readFileSync(path, 'utf8'))].join('\n');
}

async function invited(kind: Kind): Promise<{ token: string; sha256: string }> {
  const body = { spokeName: `spoke-${kind}-${systemRandom(4).toString('hex')}`, platform: 'linux' };
  const made = await hub.request('POST', '/api/installation/token', { token: 'manager', body });
  expect(made.status).toBe(201);
  return { token: made.body.token.token, sha256: made.body.scripts.linux.sha256 };
}

const json = (value: unknown) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(value),
});

const present = kinds.filter((kind) => findProgram(kind) !== null);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-fronts-'));
  const order = { hosts: ['hub.example.org'], days: 2, now: Date.now(), privateKey: null };
  const identity = await selfSigned(order, systemRandom);
  certificate = identity.certificate;
  writeFileSync(join(folder, 'site.crt'), certificate);
  writeFileSync(join(folder, 'site.key'), privateKeyPem(identity.privateKey), { mode: 0o600 });
  hub = await startRunningHub({
    tokens: [{ name: 'manager', scopes: ['peers:write', 'peers:read', 'metrics:read', 'hub:read'] }],
    config: {
      proxies: ['127.0.0.1/32'],
      publicUrl: 'https://hub.example.org',
      metrics: { from: ['198.51.100.0/24'], peers: 0 },
    },
  });
  for (const kind of present) {
    const front = await makers[kind].make(
      findProgram(kind) ?? '',
      mkdtempSync(join(folder, kind)),
      site(makers[kind].file),
    );
    fronts.set(kind, front);
    running.set(kind, await front.start());
  }
});
afterAll(async () => {
  for (const one of running.values()) await one.stop();
  await hub?.stop().catch(() => undefined);
  rmSync(folder, { recursive: true });
});

/** The routes that the hub was asked for, with how often. */
async function heardOf(): Promise<Map<string, number>> {
  const { text } = await hub.request('GET', '/api/metrics', { token: 'manager' });
  const lines = text.matchAll(/^wireguard_api_request_duration_seconds_count\{([^}]*)\} (\d+)$/gm);
  return new Map([...lines].map(([, labels = '', count]) => [labels, Number(count)]));
}

const open = [
  '/api/health',
  '/api/installation/key',
  '/api/installation/script/:token',
  '/api/spoke/register',
  '/api/spoke/withdraw',
  '/api/proxmox/members',
];

describe.each(present)('%s before a hub', (kind) => {
  it('is a file that its program takes, and would not take with a slip in it', async () => {
    expect(await fronts.get(kind)?.check()).toBe(true);
    const slip = site(makers[kind].file).replace(/proxy_connect_timeout|dial_timeout/, 'dail_timeout');
    const wrong = await makers[kind].make(findProgram(kind) ?? '', mkdtempSync(join(folder, 'slip')), slip);
    expect(await wrong.check()).toBe(false);
  });

  it.each([
    '/api/login',
    '/api/session',
    '/api/hub/status',
    '/api/metrics',
    '/api/peers',
    '/api/create-peer',
    '/api/installation/token',
    '/api/installation/tokens',
    '/api/installation/token/x',
    '/api/spoke/list',
    '/api/spoke/x',
    '/api/proxmox/clusters',
    '/api/v1/ip-usage',
    '/api/healthy',
    '/api/health/x',
    '/api/',
  ])('shuts everybody out from %s, and the hub never hears of it', async (path) => {
    const before = await heardOf();
    for (const method of ['GET', 'POST', 'DELETE']) {
      const headers = { Authorization: `Bearer ${hub.token('manager')}`, 'X-Forwarded-For': manager };
      expect((await ask(kind, path, { method, headers })).status).toBe(403);
    }
    const after = await heardOf();
    expect([...after.keys()].filter((labels) => !before.has(labels) && !labels.includes('/api/metrics'))).toEqual([]);
  });

  it.each([
    '/api/spoke/x%2f..%2fregister',
    '/api/spoke/x/..%2fregister',
    '/api/proxmox/clusters/..%2f..%2fhealth',
    '/api/installation/script/../../hub/status',
    '/api/installation/script/..%2f..%2fhub%2fstatus',
    '/api/installation/script/%2e%2e/%2e%2e/hub/status',
    '/api/installation/script/x/../../token',
    '/api/installation/script',
    '/api/installation/script/..;/..;/hub/status',
    '//api/hub/status',
    '/api//hub/status',
    '/api/./hub/status',
    '/api/%68ub/status',
    '/API/hub/status',
    '/x/../api/hub/status',
    '/api/health/../hub/status',
    '/api/health%00/../../hub/status',
    '/api/health?/../hub/status',
    '/api/health%3f/../hub/status',
    '/api/health#/../hub/status',
  ])('lets nobody around by %s', async (path) => {
    const before = await heardOf();
    for (const method of ['GET', 'DELETE', 'POST']) {
      await ask(kind, path, { method, headers: { Authorization: `Bearer ${hub.token('manager')}` } }).catch(() => null);
    }
    const heard = [...(await heardOf())].filter(([labels, count]) => before.get(labels) !== count);
    const routes = heard
      .map(([labels]) => /route="([^"]*)"/.exec(labels)?.[1] ?? '')
      .filter((one) => one !== '/api/metrics');
    expect(routes.filter((route) => !open.includes(route) && route !== 'none')).toEqual([]);
  });

  it('opens what spokes need to everybody', async () => {
    expect((await ask(kind, '/api/health')).status).toBe(200);
    expect((await ask(kind, '/api/installation/key')).text).toContain('BEGIN PUBLIC KEY');
    const wrong = { token: 'x'.repeat(43), publicKey: 'x', os: 'linux', members: ['a'] };
    for (const path of ['/api/spoke/register', '/api/spoke/withdraw', '/api/proxmox/members']) {
      const reply = await ask(kind, path, json(wrong));
      expect([400, 404]).toContain(reply.status);
      expect(reply.headers['content-type']).toBe('application/problem+json');
    }
  });

  it('opens the rest to those who manage the hub, and the hub asks them who they are', async () => {
    expect((await ask(kind, '/api/hub/status', { from: manager })).status).toBe(401);
    const headers = { Authorization: `Bearer ${hub.token('manager')}` };
    expect((await ask(kind, '/api/hub/status', { from: manager, headers })).status).toBe(200);
  });

  it('sends everybody from HTTP to HTTPS', async () => {
    const { status, headers } = await ask(kind, '/api/health?x=1', { plain: true });
    expect([301, 308]).toContain(status);
    expect(headers.location).toMatch(/^https:\/\/hub\.example\.org(:\d+)?\/api\/health\?x=1$/);
  });

  it('tells the hub where a request comes from, whatever that says itself', async () => {
    const spoofed = {
      'X-Forwarded-For': '198.51.100.9, 198.51.100.10',
      'X-Real-IP': '198.51.100.9',
      Forwarded: 'for=198.51.100.9',
    };
    // the second is an address that the hub believes: only what overwrites the header keeps its word from being heard
    for (const from of [anybody, '127.0.0.1']) {
      const { token } = await invited(kind);
      expect((await ask(kind, `/api/installation/script/${token}`, { from, headers: spoofed })).status).toBe(200);
      const rows = await hub.data.store.read((db) =>
        db
          .selectFrom('install_token')
          .select('fetched_from')
          .where('token_hash', '=', installTokenHash(token))
          .execute(),
      );
      expect(rows).toEqual([{ fetched_from: from }]);
    }
    expect((await ask(kind, '/api/metrics', { from: manager, headers: spoofed })).status).toBe(401);
  });

  it('changes no byte of a script, and does not spend a token that is only looked at', async () => {
    const { token, sha256 } = await invited(kind);
    const path = `/api/installation/script/${token}?platform=linux`;
    const look = await ask(kind, path, { method: 'HEAD' });
    expect([look.status, look.text]).toEqual([200, '']);
    const { status, text } = await ask(kind, path);
    expect([status, createHash('sha256').update(text).digest('hex')]).toEqual([200, sha256]);
    expect((await ask(kind, path)).status).toBe(410);
  });

  it('takes no body that the hub would not', async () => {
    const before = await heardOf();
    const { status } = await ask(kind, '/api/spoke/register', json({ token: 'x'.repeat(100_000) }));
    expect(kind === 'caddy' ? [413, 502] : [413]).toContain(status); // Caddy 2.6 has no word of its own for it
    const fresh = [...(await heardOf()).keys()].filter((labels) => !before.has(labels));
    expect(fresh.filter((labels) => labels.includes('register') && !labels.includes('413'))).toEqual([]);
  });

  it.runIf(process.env.LATCHKEY_THOROUGH === '1')(
    'cuts off who sends slowly, and lets others through meanwhile',
    async () => {
      const port = fronts.get(kind)?.https ?? 0;
      const head = 'POST /api/spoke/register HTTP/1.1\r\nHost: hub.example.org\r\nContent-Type: application/json\r\n';
      /** What comes until the connection is closed from the other side; with `drip`, it is never quite idle. */
      const slow = (text: string, drip: boolean) =>
        new Promise<string>((resolve) => {
          let answer = '';
          const socket = tlsConnect({ host: '127.0.0.1', port, servername: 'hub.example.org', ca: certificate }, () => {
            socket.write(text);
            const more = setInterval(() => drip && socket.write('x'), 1_000);
            socket.on('close', () => clearInterval(more));
          });
          socket.on('data', (chunk) => {
            answer += chunk.toString();
          });
          socket.on('error', () => undefined);
          socket.on('close', () => resolve(answer));
        });
      const both = Promise.all([slow(`${head}X-Slow: `, true), slow(`${head}Content-Length: 1000\r\n\r\n{`, false)]);
      expect((await ask(kind, '/api/health')).status).toBe(200);
      for (const answer of await both) expect(answer).not.toContain('json'); // which is how the hub answers
    },
    90_000,
  );

  it('keeps no token in what it writes, when all is well and when nothing is', async () => {
    const { token } = await invited(kind);
    await ask(kind, `/api/installation/script/${token}`, { plain: true });
    await ask(kind, `/api/installation/script/${token}?platform=linux`);
    await ask(kind, `/api/installation/script/${token}/x`);
    await ask(kind, `/api/installation/script/${token}`, json({ token: 'x'.repeat(100_000) }));
    const lines = () => ['/api/installation/script/-', '/api/health'].filter((line) => written(kind).includes(line));
    await expect.poll(lines, { timeout: 15_000 }).toHaveLength(2);
    expect([token, hub.token('manager')].filter((secret) => written(kind).includes(secret))).toEqual([]);
  });
});

describe.skipIf(!present.includes('nginx'))('nginx', () => {
  it('takes all of a /64 of IPv6 for one client', async () => {
    const at = mkdtempSync(join(folder, 'clients'));
    const port = await freePort();
    const [maps = ''] = site('nginx.conf').split(/^server \{$/m);
    const told = `server { listen 127.0.0.1:${port}; set_real_ip_from 127.0.0.1; real_ip_header X-Client; location / { return 200 $latchkey_client; } }`;
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    const own = `${user} daemon off; worker_processes 1; pid ${at}/pid; events { worker_connections 64; }`;
    writeFileSync(join(at, 'nginx.conf'), `${own} http { access_log off; ${maps} ${told} }`);
    const argv: Argv = [findProgram('nginx') ?? '', '-e', join(at, 'log'), '-c', join(at, 'nginx.conf')];
    const server = await BackgroundProcess.start(argv, { readyIf: () => answers(port) });
    const client = async (address: string) =>
      (await fetch(`http://127.0.0.1:${port}/`, { headers: { 'X-Client': address } })).text();
    const clients: string[] = [];
    for (const address of [
      ...['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::1', '2001:DB8:1:2:ffff::'],
      ...['2001:db8:1:3::1', '2001:db8::1', '2001:db8::ffff:0:0:1', '::1', '192.0.2.7', '192.0.2.8'],
    ]) {
      clients.push(await client(address));
    }
    await server.stop();
    const one = '2001:db8:1:2:';
    expect(clients).toEqual([
      one,
      one,
      one,
      '2001:db8:1:3:',
      '2001:db8:',
      '2001:db8:',
      '::1',
      '192.0.2.7',
      '192.0.2.8',
    ]);
  });
});

describe('when the hub is gone', () => {
  it.each(present)('%s says so, and still writes no token', async (kind) => {
    const token = 'CANARY-'.repeat(7).slice(0, 43);
    await hub.hub.stop();
    const { status } = await ask(kind, `/api/installation/script/${token}`);
    expect(status).toBe(502);
    expect((await ask(kind, '/api/health')).status).toBe(502);
    await expect.poll(() => written(kind).includes('refused'), { timeout: 15_000 }).toBe(true);
    expect(written(kind).includes(token)).toBe(false);
  });
});
