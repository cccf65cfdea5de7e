import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { selfSigned } from '../../platform/certificates/self-signed.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { run } from '../../platform/run.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { answers, type Machine, machinesObstacle } from '../harness/hub-network.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { hasProgram } from '../harness/programs.ts';
import { hubAndSpoke } from './hub-and-spoke.ts';

const obstacle = machinesObstacle() ?? (hasProgram('setpriv') ? null : 'setpriv not installed');
const MAIN = resolve(import.meta.dirname, '../../wireguard/node/main.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN] as const;
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all'];
const PATIENCE = { timeout: 20_000, interval: 200 };
/** With a real key server; else with a stand-in that says what a real one does. */
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const HUB = '10.67.0.1';
const ORIGIN = `https://${HUB}:8443`;

describe.skipIf(obstacle !== null)(`wgnode check on a spoke${obstacle === null ? '' : `: ${obstacle}`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const folder = mkdtempSync(join(tmpdir(), 'lk-check-'));
  const at = (name: string): string => join(folder, name);
  let hub: Machine;
  let spoke: Machine;
  let keyserver: number;

  beforeAll(async () => {
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    const made = await hubAndSpoke(cleanup);
    ({ hub, spoke } = made);
    // a folder that no other machine has, and neither systemd nor anything else that has started the interface
    await spoke.run('sh', '-c', 'mkdir -p /etc/wireguard && mount -t tmpfs wireguard /etc/wireguard');
    writeFileSync(at('wg0.conf'), made.conf, { mode: 0o600 });
    await spoke.run('cp', at('wg0.conf'), '/etc/wireguard/wg0.conf');
    await spoke.run('wg-quick', 'up', 'wg0');
    expect(await answers(spoke, HUB)).toBe(true);
    keyserver = await (thorough ? realKeyserver() : keyserverStandIn());
    writeFileSync(at('tell.sh'), `cat >>'${at('alerts')}'\n`);
    writeFileSync(at('alerts'), '');
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });

  /** Its process id. */
  const realKeyserver = async (): Promise<number> => {
    const place = { address: HUB, inside: hub.inside.bind(hub) };
    const server = await KeyServer.init({ data: at('keys'), port: 8443, cleanup, place });
    await server.start();
    return server.pid ?? 0;
  };
  const keyserverStandIn = async (): Promise<number> => {
    const order = { hosts: [HUB], days: 1, now: Date.now(), privateKey: null };
    const { certificate, privateKey } = await selfSigned(order, systemRandom);
    writeFileSync(at('ca.pem'), certificate);
    writeFileSync(at('key.pem'), privateKeyPem(privateKey), { mode: 0o600 });
    const files = `cert: fs.readFileSync('${at('ca.pem')}'), key: fs.readFileSync('${at('key.pem')}')`;
    const program = `https.createServer({ ${files} }, (_, answer) => answer.end('{"status":"ok"}')).listen(8443, '${HUB}', () => console.log('serving'))`;
    const argv = hub.inside([process.execPath, '-e', program]);
    const standIn = await BackgroundProcess.start(argv, { readyWhen: /^serving$/m });
    cleanup.add('stand-in', () => standIn.kill());
    return standIn.pid;
  };

  const check = async (...words: string[]) => {
    const argv = spoke.inside([...NODE, 'check', '--interface', 'wg0', ...words]);
    const { exit, stdout } = await run(argv, { timeoutMs: 60_000, allowExit: 'any' });
    return { exit, said: stdout.toString('utf8') };
  };
  const round = () =>
    check(
      ...['--keyserver', ORIGIN, '--ca', at(thorough ? 'keys/ca.pem' : 'ca.pem'), '--state', at('state/check.json')],
      ...['--bad-rounds', '2', '--good-rounds', '1', '--alert-command', `/bin/sh ${at('tell.sh')}`],
    );
  const alerts = (): string[] => readFileSync(at('alerts'), 'utf8').split('\n').filter(Boolean);
  const events = () =>
    alerts().map((line) => {
      const [{ event, facts }] = JSON.parse(line).alerts;
      return `${event}${facts.over ? ' over' : ''}`;
    });

  test('restarts a deleted interface, and tells once each way of a silent peer and a silent key server', async () => {
    const first = await round();
    expect(first.said).toMatch(/^ok +wg0 is up\nok +handshake of wg0 \d+ s ago\nok +key server \S+ answers\n$/);
    expect(first.exit).toBe(0);
    expect((await check('--nagios')).said).toMatch(
      /^OK: wg0 is up, handshake of wg0 \d+ s ago \|handshake=\d+s;180;300\n$/,
    );

    process.kill(keyserver, 'SIGSTOP');
    await spoke.run('ip', 'link', 'delete', 'wg0');
    await hub.signal('wireguard-go', 'SIGSTOP'); // its peer is silent from now on
    expect(await check('--nagios')).toEqual({ exit: 2, said: 'CRITICAL: wg0 is down\n' });
    expect(await spoke.tries('wg show wg0')).toBe(false); // a plugin restarts nothing
    const second = await round();
    expect(second.exit).toBe(1);
    expect(second.said).toMatch(/^critical +wg0 is down\ncritical +key server \S+ does not answer.*\nrestarted wg0\n$/);
    expect(await spoke.run('wg', 'show', 'wg0', 'peers')).not.toBe('');
    expect(events()).toEqual([]);

    expect((await round()).said).toMatch(/has never shaken hands\ncritical .*\nalert: key server \S+ does not answer/);
    expect(events()).toEqual(['keyserver_silent']);
    expect((await round()).said).toMatch(/\nalert: wg0 has never shaken hands\n$/);
    expect(events()).toEqual(['keyserver_silent', 'handshake_stale']);

    await hub.signal('wireguard-go', 'SIGCONT');
    process.kill(keyserver, 'SIGCONT');
    await vi.waitFor(async () => {
      expect(await spoke.run('wg', 'show', 'wg0', 'latest-handshakes')).not.toMatch(/\t0$/m);
      expect(await answers(spoke, HUB)).toBe(true);
    }, PATIENCE);
    expect((await round()).exit).toBe(0);
    expect(events().slice(2)).toEqual(['handshake_stale over', 'keyserver_silent over']);
    const over = JSON.parse(alerts()[2] ?? '');
    expect(over).toMatchObject({ version: 1, severity: 'info', alerts: [{ facts: { subject: 'wg0', over: true } }] });
  }, 90_000);

  test('is unknown to whoever may not look, and neither down nor restarted', async () => {
    const argv = spoke.inside([...NOBODY, ...NODE, 'check', '--interface', 'wg0', '--nagios'] as never);
    const { exit, stdout } = await run(argv, { timeoutMs: 30_000, allowExit: 'any' });
    expect([exit, stdout.toString()]).toEqual([3, 'UNKNOWN: this user may not look at wg0\n']);
  });
});
