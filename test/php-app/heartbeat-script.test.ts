import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { RequestListener } from 'node:http';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { CommandRecorder } from '../harness/command-recorder.ts';
import { freePort } from '../harness/free-port.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { hasProgram } from '../harness/programs.ts';
import { HonestClient } from '../keyserver/honest-client.ts';
import { type Answering, good, invented, json, problem, selfSigned, standIn } from './answering-server.ts';
import { StateFolder } from './state-folder.ts';

const SCRIPT = resolve(import.meta.dirname, '../../php-app/bin/heartbeat.sh');
const INSTANCE = 'octest123456';
const KEY = 'master_0123abcd.privateKey';
const shells = [['dash'], ['bash'], ['busybox', 'ash']].filter(([program = '']) => hasProgram(program)) as [
  string,
  ...string[],
][];
const tools = ['curl', 'openssl', 'flock'];
const canRun = shells.length > 0 && tools.every(hasProgram);

interface Beat {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function beat(
  shell: readonly [string, ...string[]],
  folder: string,
  options: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Beat> {
  const args = options.args ?? [folder, INSTANCE];
  const { exit, stdout, stderr } = await run([...shell, SCRIPT, ...args] as [string, ...string[]], {
    timeoutMs: 30_000,
    allowExit: 'any',
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return { exit, stdout: stdout.toString('utf8'), stderr };
}

const silent: Beat = { exit: 0, stdout: '', stderr: '' };

describe.runIf(canRun)('heartbeat.sh', () => {
  const cleanup = new Cleanup();
  const base = mkdtempSync(join(tmpdir(), 'lk-heartbeat-'));
  let keyServer: KeyServer;
  let names = 0;
  /** Runs that take as long as they may; they go on beside everything else. */
  let slow: { readonly held: StateFolder; readonly waits: Promise<Beat[]>; readonly timeouts: Promise<Beat[]> };

  beforeAll(async () => {
    cleanup.add(base, () => rmSync(base, { recursive: true, force: true }));
    slow = await startSlowRuns();
    keyServer = await KeyServer.init({ data: join(base, 'keys'), port: await freePort(), cleanup });
    await keyServer.start();
  });
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  /** A host of its own at the real key server, in a folder whose name needs quoting everywhere. */
  async function enrolled(keys: readonly string[] = [], policy: readonly string[] = []): Promise<StateFolder> {
    const name = `host-${++names}`;
    const invitation = await keyServer.addClient(name);
    if (policy.length > 0) await keyServer.command(['client', 'policy', name, ...policy]);
    return StateFolder.enroll(join(base, `it's "a" $HOME \\ %s ${name}`), invitation, keys);
  }

  const answering = (listener: RequestListener) => standIn(listener, cleanup, base);

  /** The same, with what was said. */
  const hearing = (listener: (body: Record<string, unknown>, response: Answering) => void) => {
    const said: string[] = [];
    const take: RequestListener = (_, response) =>
      listener(JSON.parse(said.pop() ?? '') as Record<string, unknown>, response as Answering);
    return standIn(take, cleanup, base, (text) => said.push(text));
  };

  describe.each(shells.map((shell) => ({ shell, name: shell.join(' ') })))('under $name', ({ shell }) => {
    let host: StateFolder;
    beforeAll(async () => {
      host = await enrolled([KEY]);
    });

    test('says nothing when all is well, and each message is later than the one before', async () => {
      expect(await beat(shell, host.path)).toEqual(silent);
      const first = host.link;
      expect(await beat(shell, host.path)).toEqual(silent);
      const second = host.link;
      expect(second.time).toBeGreaterThan(first.time);
      expect([second.current, second.next]).toEqual([host.credentials.link, null]);
      expect(host.json('heartbeat.json')).toEqual({
        version: 1,
        time: expect.any(Number),
        code: 'ok',
        answered: expect.any(Number),
      });
    });

    test('keeps the highest audit head it was told', async () => {
      await beat(shell, host.path);
      const { records } = (await keyServer.command(['audit', 'tail', '--lines', '400'])).json() as {
        records: { seq: number }[];
      };
      expect(host.link.seen?.head).toMatch(/^[0-9a-f]{64}$/);
      expect(records.map(({ seq }) => seq)).toContain(host.link.seen?.seq);
      expect(existsSync(join(host.path, 'rollback.json'))).toBe(false);
    });

    test('no secret is in the arguments or the environment of any program it starts', async () => {
      const programs = ['curl', 'openssl', 'flock', 'sed', 'tr', 'head', 'cat', 'ls', 'mv', 'rm', 'sync', 'date', 'id'];
      const recorder = new CommandRecorder(mkdtempSync(join(base, 'recorder-')), [...programs, 'grep', 'wc', 'touch']);
      const { token, totpSecret, link } = host.credentials;
      const bytes = Buffer.from(link, 'base64url');
      const digest = createHash('sha256').update(bytes).digest('hex');
      // a variable that is exported already stays so when it is given a secret
      const exported = { token: 'x', link: 'x', current: 'x', content: 'x', rest: 'x', text: 'x', tail: 'x' };
      expect(await beat(shell, host.path, { env: { PATH: recorder.path, ...exported } })).toEqual(silent);
      const seen = recorder.text();
      expect(seen).toContain('# curl\n-q\n-K\n-\n');
      expect(seen).toContain('# openssl\ndgst\n-sha256\n-r\n');
      const secrets = [token, totpSecret, link, bytes.toString('hex'), bytes.toString('base64'), digest];
      for (const secret of secrets) expect(seen).not.toContain(secret);
      expect(seen).not.toContain(digest.slice(32));
    });

    test('stamps that ran ahead go back, but stay later than anything that may still be under way', async () => {
      host.setLink({ time: Date.now() + 3_600_000 });
      const start = Date.now();
      const told = await beat(shell, host.path);
      expect(told).toMatchObject({
        exit: 1,
        stderr: expect.stringMatching(/stale_message: .* 3[56]\d\d s ahead \(clock_skew\)/),
      });
      const { time } = host.link;
      expect(time).toBeGreaterThanOrEqual(start + 180_000);
      expect(time).toBeLessThanOrEqual(Date.now() + 180_000);
      expect(await beat(shell, host.path)).toMatchObject({ exit: 1, stderr: expect.stringContaining('clock_skew') });
      expect(host.link.time).toBe(time + 1);
      host.setLink({ time: time - 130_000 }); // two minutes later, as the stamp sees it
      expect(await beat(shell, host.path)).toEqual(silent);
      expect(host.link.time).toBe(time - 129_999);
    });

    test('a good answer ends what would have met it too, and nothing else', async () => {
      const breaker = (code: string) => JSON.stringify({ failures: 1, until: 1, code, message: 'm' });
      host.write('breaker.json', breaker('unreachable'));
      await beat(shell, host.path);
      expect(existsSync(join(host.path, 'breaker.json'))).toBe(false);
      host.write('breaker.json', breaker('approval_pending'));
      await beat(shell, host.path);
      expect(host.read('breaker.json')).toBe(breaker('approval_pending'));
      rmSync(join(host.path, 'breaker.json'));
    });

    test('a notice is proved, recorded by the key server, and goes out once', async () => {
      const own = await enrolled();
      const notice = { code: 'reapplied', at: Date.now(), from: '32.0.2', to: '33.0.1' };
      own.write('notice.json', `${JSON.stringify(notice)}\n`);
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(await beat(shell, own.path)).toEqual(silent);
      for (const name of ['notice.json', 'notice.sending']) expect(existsSync(join(own.path, name))).toBe(false);
      const { records } = (await keyServer.command(['audit', 'tail', '--lines', '400'])).json() as {
        records: { client?: string; event: string; reason?: string; detail?: object }[];
      };
      const told = records.filter(
        (record) => record.client === own.credentials.clientId && record.reason === notice.code,
      );
      expect(told).toMatchObject([{ event: 'client_notice', detail: { at: notice.at, from: '32.0.2', to: '33.0.1' } }]);
    });

    test('a notice goes out until it is heard, and before the next one', async () => {
      let status = 503;
      const heard: unknown[] = [];
      const own = await hearing(({ notice }, response) => {
        heard.push(notice);
        if (status === 200) json(response, 200, good);
        else problem(response, status, 'degraded');
      });
      own.write('notice.json', '{"code":"app_gone","at":5}\n');
      await beat(shell, own.path);
      own.write('notice.json', '{"code":"reapplied","at":6,"to":"33.0.1"}\n');
      status = 200;
      for (let count = 0; count < 3; count++) expect(await beat(shell, own.path)).toEqual(silent);
      const first = { code: 'app_gone', at: 5 };
      expect(heard).toEqual([first, first, { code: 'reapplied', at: 6, to: '33.0.1' }, undefined]);
    });

    test('a key server of before there were notices hears the heartbeat without', async () => {
      const own = await hearing(({ notice }, response) => {
        if (notice === undefined) json(response, 200, good);
        else problem(response, 400, 'invalid_request');
      });
      own.write('notice.json', '{"code":"reapplied","at":6}\n');
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(existsSync(join(own.path, 'notice.sending'))).toBe(false);
      expect(own.json('heartbeat.json')).toMatchObject({ code: 'ok' });
    });

    test.each([
      '',
      '{"code":"reapplied"}',
      '{"code":"reapplied","at":1,"more":2}',
      '{"code":"a","at":1,"to":"x\\"}',
      '{"code":"$(id)","at":1}',
    ])('%j is no notice: it is thrown away, and the heartbeat goes on', async (text) => {
      const heard: unknown[] = [];
      const own = await hearing((body, response) => {
        heard.push(Object.keys(body));
        json(response, 200, good);
      });
      own.write('notice.json', text);
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(heard).toEqual([['linkId', 'time', 'bootId', 'uptime', 'proof']]);
      expect(existsSync(join(own.path, 'notice.sending'))).toBe(false);
    });

    test('a pending link is the one that is proved', async () => {
      const own = await enrolled();
      const client = new HonestClient(own.credentials);
      const agent = new Agent({ ca: own.read('ca.pem') });
      await client.exchange({ port: portOf(keyServer), agent }, ['nothing_there.privateKey']); // opens, and is refused
      agent.destroy();
      own.setLink({ current: client.state.current, next: client.state.next, time: client.state.time });
      expect(client.state.next).not.toBeNull();
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(own.link.next).toBe(client.state.next);
    });

    test('a copied state is told to purge, and drops what is cached', async () => {
      const own = await enrolled([KEY]);
      const copy = `${own.path} copied`;
      cpSync(own.path, copy, { recursive: true });
      chmodSync(copy, 0o700);
      const twin = new HonestClient(own.credentials);
      const agent = new Agent({ ca: own.read('ca.pem') });
      const line = { port: portOf(keyServer), agent };
      await own.storeKey(KEY);
      expect((await twin.exchange(line, [KEY])).status).toBe(200);
      agent.destroy();
      const cached = cacheFile(copy, KEY);
      const others = cacheFile(own.path, KEY);
      for (const path of [cached, others]) writeFileSync(path, 'key', { mode: 0o600 });
      cleanup.add(others, () => rmSync(others, { force: true }));
      const told = await beat(shell, copy);
      expect(told).toMatchObject({ exit: 4, stdout: '', stderr: expect.stringContaining('(purge)') });
      expect([existsSync(join(copy, 'purge')), existsSync(cached), existsSync(others)]).toEqual([true, false, true]);
      expect((await beat(shell, copy)).exit).toBe(4);
      expect(JSON.parse(readFileSync(join(copy, 'heartbeat.json'), 'utf8'))).toMatchObject({
        code: 'purge',
        answered: null,
      });
      expect(readFileSync(join(copy, 'purge'), 'utf8')).toBe('..');
    });

    test.concurrent.each<[string, (own: StateFolder) => void, number, string]>([
      ['a file that others may read', (own) => chmodSync(join(own.path, 'link.json'), 0o640), 3, 'state_mode'],
      ['a folder that others may enter', (own) => chmodSync(own.path, 0o750), 3, 'state_mode'],
      ['another owner', (own) => chownSync(join(own.path, 'client.json'), 4711, 4711), 3, 'state_owner'],
      ['no enrolment', (own) => rmSync(join(own.path, 'client.json')), 3, 'not_enrolled'],
      ['no authority', (own) => rmSync(join(own.path, 'ca.pem')), 3, 'state_missing'],
      ['a cut link file', (own) => own.write('link.json', '{"version":1,"current":"AAE'), 3, 'state_format'],
      ['another version', (own) => own.setLink({ ...own.link, version: 2 }), 3, 'state_format'],
      [
        'an unknown member',
        (own) => own.write('link.json', own.read('link.json').replace('}', ',"more":1}')),
        3,
        'state_format',
      ],
      [
        'a URL with a path',
        (own) => own.write('client.json', own.read('client.json').replace('https://h', 'https://h/x')),
        3,
        'state_format',
      ],
      [
        'plain http to another machine',
        (own) => own.write('client.json', own.read('client.json').replace('https://h', 'http://10.0.0.1')),
        3,
        'state_format',
      ],
      [
        'a token of another length',
        (own) => own.write('client.json', own.read('client.json').replace(own.credentials.token, 'AAAA')),
        3,
        'state_format',
      ],
    ])('%s is refused and nothing changes', async (_name, spoil, exit, code) => {
      const own = invented(base, ++names);
      spoil(own);
      const before = existsSync(join(own.path, 'link.json')) ? own.read('link.json') : '';
      expect(await beat(shell, own.path)).toMatchObject({
        exit,
        stdout: '',
        stderr: expect.stringContaining(`(${code})`),
      });
      expect(own.read('link.json')).toBe(before);
      for (const name of ['purge', 'heartbeat.json']) expect(existsSync(join(own.path, name))).toBe(false);
    });

    test('a state folder behind a link is refused', async () => {
      const own = invented(base, ++names);
      symlinkSync(own.path, `${own.path}-link`);
      expect(await beat(shell, `${own.path}-link`)).toMatchObject({ exit: 3 });
    });

    test.each([[[]], [['/only-one']], [['relative', INSTANCE]], [['/a', 'not an id']], [['/a', INSTANCE, 'more']]])(
      'called with %j it says how it is called',
      async (args) => {
        expect(await beat(shell, '', { args })).toMatchObject({ exit: 2, stdout: '' });
      },
    );

    test.concurrent.each<[string, RequestListener]>([
      ['html', (_, response) => response.end('<html>"state":"ok"</html>')],
      ['json that is cut off', (_, response) => json(response, 200, '{"state":"ok","policy":{')],
      ['json without a head', (_, response) => json(response, 200, '{"state":"ok","policy":{}}')],
      ['a state that is none', (_, response) => json(response, 200, good.replace('"ok"', '"fine"'))],
      ['bytes', (_, response) => json(response, 200, randomBytes(3000))],
      ['far too much', (_, response) => json(response, 200, Buffer.alloc(3_000_000, 'x'))],
      ['a redirect', (_, response) => response.writeHead(302, { Location: 'https://127.0.0.1:1/' }).end()],
      ['an error page', (_, response) => response.writeHead(403, { 'Content-Type': 'text/html' }).end('<h1>no</h1>')],
      ['purge under another status', (_, response) => json(response, 201, good.replace('"ok"', '"purge"'))],
      ['an end in the middle', (request) => request.socket.destroy()],
    ])('an answer that is %s drops nothing', async (_name, listener) => {
      const own = await answering(listener);
      const told = await beat(shell, own.path);
      expect(told).toMatchObject({ exit: 1, stdout: '' });
      expect(told.stderr).toMatch(/bad_answer|unreachable/);
      expect(existsSync(join(own.path, 'purge'))).toBe(false);
      expect(own.link).toMatchObject({ current: own.credentials.link, seen: null });
      expect(own.json('heartbeat.json')).toMatchObject({ answered: null });
    });

    test.concurrent.each<[number, string, number]>([
      [401, 'unauthorized', 4],
      [423, 'locked', 4],
      [403, 'a_gate_not_known_yet', 4],
      [503, 'killed', 4],
      [503, 'sealed', 1],
      [503, 'degraded', 1],
      [429, 'rate_limited', 1],
    ])('%i %s ends with %i', async (status, code, exit) => {
      const own = await answering((_, response) => problem(response, status, code));
      expect(await beat(shell, own.path)).toMatchObject({ exit, stderr: expect.stringContaining(`${status} ${code}`) });
      expect(existsSync(join(own.path, 'purge'))).toBe(exit === 4);
    });

    test('a server that is sealed is passed over for the next', async () => {
      const own = await enrolled();
      const sealed = await answering((_, response) => problem(response, 503, 'sealed'));
      const first = (sealed.json('client.json').urls as string[])[0] ?? '';
      const client = own.json('client.json');
      own.write('client.json', JSON.stringify({ ...client, urls: [first, ...(client.urls as string[])] }));
      own.write('ca.pem', sealed.read('ca.pem') + own.read('ca.pem'));
      expect(await beat(shell, own.path)).toEqual(silent);
    });

    test('a head that is older than one it has seen is told and kept as evidence, and the newer stays', async () => {
      const own = await answering((_, response) => json(response, 200, good));
      const newer = { seq: 900, head: 'c'.repeat(64) };
      own.setLink({ seen: newer });
      expect(await beat(shell, own.path)).toMatchObject({
        exit: 6,
        stderr: expect.stringContaining('server_rollback_suspected'),
      });
      expect(own.link.seen).toEqual(newer);
      expect(own.json('rollback.json')).toMatchObject({ seen: newer, told: { seq: 7, head: 'a'.repeat(64) } });
      own.setLink({ seen: { seq: 7, head: 'b'.repeat(64) } });
      expect((await beat(shell, own.path)).exit).toBe(6);
      own.setLink({ seen: { seq: 7, head: 'a'.repeat(64) } });
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(own.json('rollback.json')).toMatchObject({ seen: newer });
    });

    test('a certificate beside the state is shown, and must be closed to others', async () => {
      let peer = '';
      const own = await answering((request, response) => {
        peer = String((request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? '');
        json(response, 200, good);
      });
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(peer).toBe('');
      const { certificate, key } = await selfSigned(base, 'the host');
      own.write('client.crt', certificate);
      own.write('client.key', key);
      expect(await beat(shell, own.path)).toEqual(silent);
      expect(peer).toBe('the host');
      chmodSync(join(own.path, 'client.key'), 0o644);
      expect((await beat(shell, own.path)).exit).toBe(3);
    });

    test('a key server that cannot prove itself is not told anything', async () => {
      let isHeard = false;
      const own = await answering((_, response) => {
        isHeard = true;
        json(response, 200, good);
      });
      own.write('ca.pem', (await selfSigned(base, 'another')).certificate);
      // whatever the system or its user trusts does not count
      const env = { SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt', CURL_CA_BUNDLE: join(base, 'none') };
      expect(await beat(shell, own.path, { env })).toMatchObject({
        exit: 1,
        stderr: expect.stringContaining('tls_failed'),
      });
      expect(isHeard).toBe(false);
    });

    test('neither a proxy nor the settings of the user are asked', async () => {
      const home = mkdtempSync(join(base, 'home-'));
      writeFileSync(join(home, '.curlrc'), 'url = "http://127.0.0.1:1/"\n');
      const env = { HOME: home, https_proxy: 'http://127.0.0.1:1', ALL_PROXY: 'http://127.0.0.1:1' };
      expect(await beat(shell, host.path, { env })).toEqual(silent);
    });
  });

  test('waits for an exchange of the app, and goes on from where that ended', { timeout: 20_000 }, async () => {
    const own = await enrolled([KEY]);
    await own.storeKey(KEY);
    const go = join(base, 'go');
    const php = `require $argv[1]; $host = OCA\\RemoteKeyStorage\\Host::at($argv[2]);
      $lock = $host->folder()->lock(5); echo "held\\n";
      while (!file_exists($argv[3])) { usleep(5000); clearstatcache(); }
      for ($i = 0; $i < 3; $i++) { $host->client()->release([$argv[4]], 'verify', $lock); }
      usleep(100000); $lock->release(); echo "released\\n"; sleep(5);`;
    const autoload = resolve(import.meta.dirname, '../../php-app/autoload.php');
    const holder = await BackgroundProcess.start(['php', '-r', php, '--', autoload, own.path, go, KEY], {
      readyWhen: /held/,
    });
    cleanup.add('php', () => holder.stop());
    const beats = shells.map((shell) => beat(shell, own.path));
    writeFileSync(go, '');
    expect(await Promise.all(beats)).toEqual(shells.map(() => silent));
    expect(holder.output()).toContain('released');
    expect(own.link.current).not.toBe(own.credentials.link);
    const shown = (await keyServer.command(['client', 'show', `host-${names}`])).stdout;
    expect(shown).toContain('"enrolled"');
  });

  async function startSlowRuns(): Promise<typeof slow> {
    const held = invented(base, ++names);
    const holder = await BackgroundProcess.start(['flock', join(held.path, 'lock'), '-c', 'echo held; exec sleep 25'], {
      readyWhen: /held/,
    });
    cleanup.add('flock', () => holder.stop());
    chmodSync(join(held.path, 'lock'), 0o600);
    const mute = await Promise.all(shells.map(() => answering(() => undefined)));
    const waits = Promise.all(shells.map((shell) => beat(shell, held.path)));
    return { held, waits, timeouts: Promise.all(shells.map((shell, i) => beat(shell, mute[i]?.path ?? ''))) };
  }

  test('gives up on a lock that is not given back, and on a server that never answers', async () => {
    for (const told of await slow.timeouts) {
      expect(told).toMatchObject({ exit: 1, stderr: expect.stringContaining('(timeout)') });
    }
    for (const told of await slow.waits) {
      expect(told).toMatchObject({ exit: 5, stderr: expect.stringContaining('(state_busy)') });
    }
    expect(slow.held.link.time).toBe(0);
  });

  test('tells when nobody is there, and loses nothing', async () => {
    const own = await enrolled();
    const [shell = ['dash']] = shells;
    expect(await beat(shell as [string], own.path)).toEqual(silent);
    const { answered } = own.json('heartbeat.json');
    const client = own.json('client.json');
    own.write('client.json', JSON.stringify({ ...client, urls: [`https://127.0.0.1:${await freePort()}`] }));
    expect(await beat(shell as [string], own.path)).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('(unreachable)'),
    });
    expect(own.json('heartbeat.json')).toMatchObject({ code: 'unreachable', answered });
    expect(existsSync(join(own.path, 'purge'))).toBe(false);
  });
});

test('it leaves the same failures to the breaker as the app does', () => {
  const breaker = readFileSync(resolve(import.meta.dirname, '../../php-app/lib/State/CircuitBreaker.php'), 'utf8');
  const [, list = ''] = /ABOUT_RELEASES = \[([^\]]*)\]/.exec(breaker) ?? [];
  const codes = [...list.matchAll(/'([a-z_]+)'/g)].map(([, code = '']) => code);
  expect(codes).toContain('approval_pending');
  const script = readFileSync(SCRIPT, 'utf8');
  const [, body = ''] = /close_breaker\(\) \{([^}]*)\}/.exec(script) ?? [];
  expect(body.match(/[a-z]+(_[a-z]+)*(?= \||\))/g)).toEqual(expect.arrayContaining(codes));
});

test.runIf(hasProgram('shellcheck'))('shellcheck finds nothing in it', async () => {
  const { stdout } = await run(['shellcheck', '--shell=sh', SCRIPT], { timeoutMs: 20_000, allowExit: 'any' });
  expect(stdout.toString('utf8')).toBe('');
});

function portOf(server: KeyServer): number {
  return Number(server.listen.slice(server.listen.lastIndexOf(':') + 1));
}

/** Where the app's command line caches a key, and makes the folder. */
function cacheFile(folder: string, keyId: string): string {
  const uid = process.getuid?.() ?? 0;
  const parent = `/dev/shm/latchkey-${uid}`;
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const tag = createHash('sha256').update(`${INSTANCE}\0${folder}`).digest('hex').slice(0, 16);
  return join(parent, createHash('sha256').update(`latchkey:${tag}:${keyId}`).digest('hex'));
}
