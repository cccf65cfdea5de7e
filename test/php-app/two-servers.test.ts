import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAudit } from '../../platform/audit-chain.ts';
import { run } from '../../platform/run.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { hasProgram } from '../harness/programs.ts';
import { masterKeyId } from '../keyserver/made-server.ts';
import { type FleetServer, ServerFleet } from '../keyserver/server-fleet.ts';
import { keepStateIn } from '../keyserver/test-store.ts';
import { StateFolder } from './state-folder.ts';

const app = resolve(import.meta.dirname, '../../php-app');
const canRun = ['php', 'curl', 'openssl', 'flock'].every(hasProgram) && postgresMissing() === null;

// The app's own client and the heartbeat script, before two real key servers on one database.
describe.runIf(canRun)('a host with two key servers', () => {
  const base = mkdtempSync(join(tmpdir(), 'latchkey-two-'));
  const key = Buffer.from('the sealed private key of an instance');
  let postgres: TestPostgres;
  let fleet: ServerFleet;
  let host: StateFolder;
  let first: FleetServer;
  let second: FleetServer;

  /** A release by the app's own client: the key, or the error's code. */
  async function release(): Promise<string> {
    const php = `require $argv[1]; $host = OCA\\RemoteKeyStorage\\Host::at($argv[2]);
      try { echo $host->client()->release([$argv[3]], 'verify')['keys'][$argv[3]]; }
      catch (OCA\\RemoteKeyStorage\\Wire\\WireError $e) { echo $e->code(); }`;
    const argv = ['php', '-r', php, '--', join(app, 'autoload.php'), host.path, masterKeyId] as const;
    return (await run(argv as unknown as [string], { timeoutMs: 30_000 })).stdout.toString();
  }
  const beat = async (): Promise<number> => {
    const script = ['sh', join(app, 'bin/heartbeat.sh'), host.path, 'octest123456'] as const;
    return (await run(script as unknown as [string], { timeoutMs: 30_000, allowExit: 'any' })).exit;
  };
  const events = () =>
    fleet.beside(({ store }) =>
      store.read(async (tx) => (await readAudit(tx, 0, 1_000)).map(({ body }) => JSON.parse(body).event as string)),
    );

  beforeAll(async () => {
    postgres = await TestPostgres.start();
    keepStateIn(postgres);
    fleet = await ServerFleet.make({ clients: 1, key });
    [first = await fleet.join()] = fleet.servers;
    second = await fleet.join();
    await Promise.all([first.start(), second.start()]);
    const [credentials] = fleet.made.clients;
    if (credentials === undefined) throw new RangeError('no client');
    const url = (server: FleetServer): string => `https://127.0.0.1:${server.port}`;
    const ca = readFileSync(join(fleet.made.data, 'ca.pem'), 'utf8');
    host = StateFolder.make(join(base, 'state'), credentials, { url: url(first), ca, keys: [masterKeyId] });
    const client = { ...host.json('client.json'), urls: [url(first), url(second)] };
    host.write('client.json', `${JSON.stringify(client, null, 4)}\n`);
  }, 60_000);
  afterAll(async () => {
    await fleet.remove();
    keepStateIn(null);
    await postgres.stop();
    rmSync(base, { recursive: true, force: true });
  });

  test('goes on with either while the other is dead, and is nobody’s copy', async () => {
    expect([await release(), await beat()]).toEqual([key.toString(), 0]);
    await first.kill();
    expect([await release(), await beat(), await release()]).toEqual([key.toString(), 0, key.toString()]);
    await second.kill();
    expect(await release()).toBe('unreachable');
    await first.start();
    expect([await beat(), await release()]).toEqual([0, key.toString()]);
    await second.start();
    expect([await release(), await beat()]).toEqual([key.toString(), 0]);
    const log = await events();
    expect(log.filter((event) => event === 'key_released')).toHaveLength(5);
    for (const alarm of ['fork_detected', 'server_rollback_suspected']) expect(log).not.toContain(alarm);
  }, 60_000);

  test('passes over one that is frozen, and turns away in the time of one exchange when both are', async () => {
    first.freeze();
    expect([await release(), await release()]).toEqual([key.toString(), key.toString()]);
    second.freeze();
    expect(await release()).toBe('unreachable'); // the connection stands, its TLS does not
    first.thaw();
    second.thaw();
    expect(await release()).toBe(key.toString());
    expect(await events()).not.toContain('fork_detected');
  }, 60_000);
});
