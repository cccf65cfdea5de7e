import { X509Certificate } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../../keyserver/certificates/issuing.ts';
import { assertMaySwitch, beginRollover, finishRollover, readRollover } from '../../keyserver/certificates/rollover.ts';
import { addClient } from '../../keyserver/clients/client-admin.ts';
import { renewServerIdentity } from '../../keyserver/server-secrets.ts';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';
import { RunningServer } from '../keyserver/running-server.ts';

const bootstrap = resolve(import.meta.dirname, 'bootstrap.php');
const script = resolve(import.meta.dirname, '../../php-app/bin/heartbeat.sh');
const key = 'master_1.privateKey';
const canBeat = ['curl', 'openssl', 'flock', 'sh'].every(hasProgram);

/** The app's own classes, as occ and cron use them, at a real key server. */
describe.skipIf(!hasProgram('php'))('the app’s certificate', () => {
  let server: RunningServer;
  let folder: string;
  let state: string;

  beforeAll(async () => {
    server = await RunningServer.start({ clients: 0 });
    folder = mkdtempSync(join(tmpdir(), 'latchkey-php-certificate-'));
    state = join(folder, 'state');
    mkdirSync(state, { mode: 0o700 });
    const wanted = { name: 'cloud', networks: ['127.0.0.0/8'], basic: false, escrow: true };
    const { code, grant } = await server.beside((tx) => addClient(tx, wanted, server.now(), systemRandom));
    const told = await php(
      `$e = new Enrolment(new World(), 'oc1', ['/usr'], static function (): void {});
       $e->enroll($dir, [$in['url']], $in['code'], $in['ca'], false);
       Host::at($dir)->client()->putKey($in['key'], 'the key', $in['grant']);
       $out = 'enrolled';`,
      { url: `https://127.0.0.1:${server.port}`, code, ca: server.made.ca, grant, key },
    );
    expect(told).toBe('enrolled');
  });
  afterAll(async () => {
    await server.remove();
    rmSync(folder, { recursive: true });
  });

  /** Runs a piece of PHP with the app loaded; secrets go through standard input. Answers `$out`, or an error's code. */
  async function php(text: string, input: Record<string, unknown> = {}, dir = state): Promise<unknown> {
    const code = `require getenv('BOOTSTRAP');
      use OCA\\RemoteKeyStorage\\Host; use OCA\\RemoteKeyStorage\\Escrow\\Enrolment; use LatchkeyTest\\Escrow\\World;
      $in = json_decode(stream_get_contents(STDIN), true); $dir = $in['dir']; $out = null;
      try { ${text} } catch (OCA\\RemoteKeyStorage\\Wire\\WireError $e) { $out = $e->code(); }
      echo json_encode($out);`;
    const { stdout } = await run(['php', '-r', code], {
      input: JSON.stringify({ dir, ...input }),
      timeoutMs: 30_000,
      env: { BOOTSTRAP: bootstrap },
    });
    return JSON.parse(stdout.toString());
  }

  const beat = (dir = state) => php("$out = Host::at($dir)->heartbeat()['state'];", {}, dir);
  const release = () => php(`$out = Host::at($dir)->client()->release([$in['key']], 'verify')['keys'];`, { key });
  const shown = () => new X509Certificate(readFileSync(join(state, 'client.crt')));
  const copy = (name: string) => {
    const to = join(folder, name);
    cpSync(state, to, { recursive: true });
    chmodSync(to, 0o700);
    return to;
  };
  const rows = () =>
    server.beside((tx) => tx.selectFrom('certificate').selectAll().where('purpose', '=', 'client').execute());

  it('is asked for on enrolment, with a key that stays here', async () => {
    const [row] = await rows();
    expect(shown().serialNumber).toBe(row?.serial);
    for (const name of ['client.key', 'client.crt']) expect(statSync(join(state, name)).mode & 0o777).toBe(0o600);
    expect(await beat()).toBe('ok');
    expect((await rows())[0]?.used_at).not.toBeNull();
    expect(await release()).toEqual({ [key]: 'the key' });
  });

  it('is demanded: without it, or with another’s key, nothing is heard', async () => {
    const bare = copy('bare');
    for (const name of ['client.key', 'client.crt']) rmSync(join(bare, name));
    expect(await beat(bare)).toBe('unauthorized');
    const torn = copy('torn');
    writeFileSync(
      join(torn, 'client.key'),
      String(await php('$out = OCA\\RemoteKeyStorage\\State\\CertificateRequest::make()->key();')),
    );
    expect(await beat(torn)).toBe('tls_failed');
  });

  it.runIf(canBeat)('is shown by the heartbeat without PHP too', async () => {
    const { exit, stderr } = await run(['sh', script, state, 'oc1'], { timeoutMs: 30_000, allowExit: 'any' });
    expect([exit, stderr]).toEqual([0, '']);
  });

  it('is renewed to a new key, and the old pair ends when the new one was used', async () => {
    const before = shown();
    const old = copy('old');
    expect(await php(`Host::at($dir)->renewCertificate(); $out = 'renewed';`)).toBe('renewed');
    expect(shown().serialNumber).not.toBe(before.serialNumber);
    expect(shown().publicKey.equals(before.publicKey)).toBe(false);
    writeFileSync(join(old, 'link.json'), readFileSync(join(state, 'link.json')));
    expect(await beat(old)).toBe('ok');
    writeFileSync(join(state, 'link.json'), readFileSync(join(old, 'link.json')));
    expect(await beat()).toBe('ok');
    writeFileSync(join(old, 'link.json'), readFileSync(join(state, 'link.json')));
    expect(await beat(old)).toBe('unauthorized');
  });

  it('survives a crash between the answer and its use, at each file', async () => {
    const old = { key: readFileSync(join(state, 'client.key')), crt: readFileSync(join(state, 'client.crt')) };
    await php(`Host::at($dir)->renewCertificate();`);
    const next = { key: readFileSync(join(state, 'client.key')), crt: readFileSync(join(state, 'client.crt')) };
    writeFileSync(join(state, 'client.new'), Buffer.concat([next.key, next.crt]), { mode: 0o600 });
    writeFileSync(join(state, 'client.crt'), old.crt); // the key was in its place, the certificate not yet
    expect(await beat()).toBe('ok');
    expect(readFileSync(join(state, 'client.crt'))).toEqual(next.crt);
  });

  it('follows to a new authority by heartbeats alone, and never misses a release', async () => {
    const first = readFileSync(join(state, 'ca.pem'), 'utf8');
    const vault = await server.vault();
    const store = await server.sideStore();
    const authority = await createAuthority('Latchkey key server 2', server.now(), systemRandom);
    await server.beside((tx) => beginRollover(tx, vault, authority, server.now()));
    await server.refresh();
    await expect(server.beside((tx) => assertMaySwitch(tx, false))).rejects.toMatchObject({ code: 'clients_behind' });
    expect(await release()).toEqual({ [key]: 'the key' });
    expect(await beat()).toBe('ok'); // told, and renewed
    expect(readFileSync(join(state, 'ca.pem'), 'utf8')).toBe(authority.certificate + first);
    expect(shown().verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    await expect(server.beside((tx) => assertMaySwitch(tx, false))).rejects.toMatchObject({ code: 'clients_behind' });
    expect(await beat()).toBe('ok'); // used
    const issuer = await server.beside((tx) => assertMaySwitch(tx, false));
    await renewServerIdentity(store, vault, ['127.0.0.1', 'localhost'], server.now(), systemRandom, issuer);
    await server.refresh();
    expect(await release()).toEqual({ [key]: 'the key' });
    expect(await beat()).toBe('ok');
    await server.beside((tx) => finishRollover(tx, false, server.now()));
    await server.refresh();
    expect(await release()).toEqual({ [key]: 'the key' });
    expect(await beat()).toBe('ok');
    expect(readFileSync(join(state, 'ca.pem'), 'utf8')).toBe(authority.certificate);
    expect(await release()).toEqual({ [key]: 'the key' });
    expect((await server.beside(readRollover)).phase).toBe('none');
  });
});
