import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { hasProgram } from '../harness/programs.ts';
import { StateFolder } from './state-folder.ts';

const APP = resolve(import.meta.dirname, '../../php-app');
const KEY = 'master_0123abcd.privateKey';
const canRun = ['php', 'curl', 'openssl', 'flock'].every(hasProgram);

// A key server that was put back to an older copy of its data directory, so that a revocation is undone.
describe.runIf(canRun)('a key server restored from an older copy', () => {
  const cleanup = new Cleanup();
  const base = mkdtempSync(join(tmpdir(), 'lk-rollback-'));
  let keyServer: KeyServer;
  let host: StateFolder;
  let key: Buffer;

  async function beat(): Promise<{ exit: number; stderr: string }> {
    const script = ['sh', join(APP, 'bin/heartbeat.sh'), host.path, 'octest123456'] as const;
    const { exit, stderr } = await run(script as unknown as [string], { timeoutMs: 30_000, allowExit: 'any' });
    return { exit, stderr };
  }

  /** A release by the app's own client; its answer, as hex digits of the key. */
  async function release(): Promise<string> {
    const php = `require $argv[1]; $host = OCA\\RemoteKeyStorage\\Host::at($argv[2]);
      echo bin2hex($host->client()->release([$argv[3]], 'verify')['keys'][$argv[3]]);`;
    const argv = ['php', '-r', php, '--', join(APP, 'autoload.php'), host.path, KEY] as const;
    return (await run(argv as unknown as [string], { timeoutMs: 30_000 })).stdout.toString('utf8');
  }

  async function events(): Promise<string[]> {
    const answer = await keyServer.command(['audit', 'tail', '--lines', '200']);
    return (answer.json() as { records: { event: string }[] }).records.map((record) => record.event);
  }

  beforeAll(async () => {
    cleanup.add(base, () => rmSync(base, { recursive: true, force: true }));
    keyServer = await KeyServer.init({ data: join(base, 'keys'), port: await freePort(), cleanup });
    await keyServer.start();
    host = await StateFolder.enroll(join(base, 'state'), await keyServer.addClient('cloud'), [KEY]);
    key = await host.storeKey(KEY);
    expect(await release()).toBe(key.toString('hex'));
    await keyServer.addClient('stolen');
    await keyServer.stop();
    cpSync(keyServer.data, `${keyServer.data}.old`, { recursive: true });
    await keyServer.start();
    await keyServer.command(['client', 'revoke', 'stolen']);
    expect(await beat()).toEqual({ exit: 0, stderr: '' });
    await keyServer.stop();
    rmSync(keyServer.data, { recursive: true });
    cpSync(`${keyServer.data}.old`, keyServer.data, { recursive: true });
    await run(['chmod', '700', keyServer.data], { timeoutMs: 5_000 });
    await keyServer.start();
  }, 60_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  test('nobody had suspected anything before', async () => {
    expect(existsSync(join(host.path, 'rollback.json'))).toBe(false);
    expect(await events()).not.toContain('server_rollback_suspected');
  });

  test('the next heartbeat of a host tells', async () => {
    const seen = host.link.seen;
    expect(await beat()).toEqual({ exit: 6, stderr: expect.stringContaining('server_rollback_suspected') });
    expect(host.json('rollback.json')).toMatchObject({ seen });
    expect(host.link.seen).toEqual(seen);
  });

  test('the next release goes on, and the key server puts the suspicion on record itself', async () => {
    rmSync(join(host.path, 'rollback.json'));
    expect(await release()).toBe(key.toString('hex'));
    expect(existsSync(join(host.path, 'rollback.json'))).toBe(true);
    expect(await events()).toContain('server_rollback_suspected');
  });
});
