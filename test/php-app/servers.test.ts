import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { Detour } from '../harness/detour.ts';
import { freePort } from '../harness/free-port.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { hasProgram } from '../harness/programs.ts';
import { StateFolder } from './state-folder.ts';

const app = resolve(import.meta.dirname, '../../php-app');
const KEY = 'master_0123abcd.privateKey';
const canRun = ['php', 'curl', 'openssl', 'flock'].every(hasProgram);

// The app's own code and the heartbeat script before one real key server, which is reached in two ways.
describe.runIf(canRun)('an enrolled host that is told to ask elsewhere', () => {
  const cleanup = new Cleanup();
  const base = mkdtempSync(join(tmpdir(), 'lk-urls-'));
  let keyServer: KeyServer;
  let host: StateFolder;
  let key: Buffer;
  let direct: string;
  let detour: Detour;

  /** What the PHP says, on one line. */
  async function php(code: string, ...args: readonly string[]): Promise<string> {
    const script = `require $argv[1]; $host = OCA\\RemoteKeyStorage\\Host::at($argv[2]); $rest = array_slice($argv, 3);
      try { ${code} } catch (\\Throwable $e) { echo OCA\\RemoteKeyStorage\\Escrow\\Failure::from($e)->reason(); }`;
    const argv = ['php', '-r', script, '--', join(app, 'autoload.php'), host.path, ...args] as unknown as [string];
    return (await run(argv, { timeoutMs: 60_000 })).stdout.toString();
  }
  const release = (): Promise<string> =>
    php("echo bin2hex($host->client()->release([$rest[0]], 'verify')['keys'][$rest[0]]);", KEY);
  const replace = (...urls: readonly string[]): Promise<string> =>
    php('echo json_encode((new OCA\\RemoteKeyStorage\\Escrow\\ServerUrls($host))->replace($rest, false));', ...urls);
  async function beat(): Promise<number> {
    const argv = ['sh', join(app, 'bin/heartbeat.sh'), host.path, 'octest123456'] as unknown as [string];
    return (await run(argv, { timeoutMs: 60_000, allowExit: 'any' })).exit;
  }

  beforeAll(async () => {
    cleanup.add(base, () => rmSync(base, { recursive: true, force: true }));
    const port = await freePort();
    keyServer = await KeyServer.init({ data: join(base, 'keys'), port, cleanup });
    await keyServer.start();
    const invitation = await keyServer.addClient('cloud');
    direct = invitation.url;
    host = await StateFolder.enroll(join(base, 'state'), invitation, [KEY]);
    key = await host.storeKey(KEY);
    detour = await Detour.open(port);
  }, 60_000);
  afterAll(async () => {
    detour.close();
    expect(await cleanup.run()).toEqual([]);
  });

  test('is refused a key server of somebody else, and one that is not there', async () => {
    const other = await KeyServer.init({ data: join(base, 'other'), port: await freePort(), cleanup });
    await other.start();
    const before = host.read('client.json');
    expect(await replace(direct, `https://${other.listen}`)).toBe('tls_failed');
    await other.stop();
    expect(await replace(direct, `https://${other.listen}`)).toBe('unreachable');
    expect(host.read('client.json')).toBe(before);
    await other.stop();
  }, 60_000);

  test('is refused what its key server refuses it there', async () => {
    await keyServer.command(['client', 'policy', 'cloud', '--from', '192.0.2.0/24']);
    expect(await replace(detour.url)).toBe('source_refused');
    await keyServer.command(['client', 'policy', 'cloud', '--from', '127.0.0.0/8']);
    expect(host.json('client.json').urls).toEqual([direct]);
  }, 60_000);

  test('asks there, by app and heartbeat, and is nobody’s copy', async () => {
    const before = host.json('client.json');
    expect(await replace(detour.url)).toBe('[]');
    expect(host.json('client.json')).toEqual({ ...before, urls: [detour.url] });
    expect([await release(), await beat(), await release()]).toEqual([key.toString('hex'), 0, key.toString('hex')]);
    expect(await replace(direct, detour.url)).toBe('[]');
    expect([await beat(), await release()]).toEqual([0, key.toString('hex')]);
    expect(await replace(detour.url)).toBe('[]');
    detour.close();
    expect([await release(), await beat()]).toEqual(['unreachable', 1]);
    expect(await replace(direct)).toBe('[]');
    expect([await release(), await beat()]).toEqual([key.toString('hex'), 0]);
    const { records } = (await keyServer.command(['audit', 'tail', '--lines', '400'])).json() as {
      records: { event: string }[];
    };
    const events = records.map(({ event }) => event);
    expect(events.filter((event) => event === 'key_released')).toHaveLength(4);
    for (const alarm of ['fork_detected', 'server_rollback_suspected']) expect(events).not.toContain(alarm);
  }, 60_000);
});
