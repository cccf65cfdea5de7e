import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { selfSigned } from '../../platform/certificates/self-signed.ts';
import { systemRandom } from '../../platform/clock.ts';
import { configFile } from '../../platform/config-file.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { run } from '../../platform/run.ts';
import { addInitCommand } from '../../wireguard/commands/init.ts';
import { addStartCommand } from '../../wireguard/commands/start.ts';
import { addTlsCommands } from '../../wireguard/commands/tls.ts';
import { readConfig } from '../../wireguard/data/hub-config.ts';
import { certificateFacts } from '../../wireguard/front/certificate-facts.ts';
import { ownCertificateFile, readOwnCertificate } from '../../wireguard/front/own-certificate.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { freePort } from '../harness/free-port.ts';
import { hasProgram } from '../harness/programs.ts';
import { runHubCommand, type Said } from './command-runner.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-front-'));
  const { certificate, privateKey } = await selfSigned(
    { hosts: ['hub.example'], days: 90, now: Date.now(), privateKey: null },
    systemRandom,
  );
  writeFileSync(at('a.crt'), certificate);
  writeFileSync(at('a.key'), privateKeyPem(privateKey), { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const sealed = (name: string): string[] => ['--data', at(name), '--keyfile', at('key')];
const init = (name: string, ...more: string[]): Promise<Said> => {
  const argv = ['init', ...sealed(name), '--endpoint', 'hub.example:51820', '--driver', 'memory', ...more];
  return runHubCommand(addInitCommand, argv);
};
const tls = (word: string, name: string, ...more: string[]): Promise<Said> => {
  const unseal = word === 'make' ? ['--keyfile', at('key')] : [];
  return runHubCommand(addTlsCommands, ['tls', word, '--data', at(name), ...unseal, ...more]);
};

describe('wghub init refuses, and makes nothing,', () => {
  it.each([
    ['a public URL that is none', ['--public-url', 'hub.example'], '"--public-url" must be a URL'],
    ['a public URL with a slash at its end', ['--public-url', 'https://hub.example/'], '"--public-url" must be a URL'],
    ['a public URL with credentials', ['--public-url', 'https://a:b@hub.example'], '"--public-url" must be a URL'],
    ['an origin with a path', ['--cors-origin', 'https://panel.example/x'], '"--cors-origin" must be an origin'],
    ['every origin', ['--cors-origin', '*'], '"--cors-origin" must be an origin'],
    ['a proxy that is no network', ['--proxy', '10.0.0.1/24'], '"--proxy" must have no bits behind the prefix'],
    ['a proxy by its name', ['--proxy', 'nginx'], '"--proxy" must be a network'],
    ['a certificate without its key', ['--tls-cert', 'a.crt'], '--tls-cert and --tls-key must be given together'],
    ['a key without its certificate', ['--tls-key', 'a.key'], '--tls-cert and --tls-key must be given together'],
    ['files beside a certificate of its own', ['--tls-own', 'h', '--tls-cert', 'x'], 'only one of --tls-own'],
    ['a name that is none', ['--tls-own', 'hub.example/x'], '"--tls-own" must be names such as hub.example'],
    ['a name with an asterisk', ['--tls-own', '*.hub.example'], '"--tls-own" must be names such as hub.example'],
  ])('%s', async (_, more, words) => {
    const said = await init('refused', ...more);
    expect([said.exit, said.stdout]).toEqual([2, '']);
    expect(said.stderr).toContain(words);
    expect(existsSync(at('refused'))).toBe(false);
  });

  it('files that TLS cannot be spoken with', async () => {
    const said = await init('refused', '--tls-cert', at('a.crt'), '--tls-key', at('nothing'));
    expect([said.exit, existsSync(at('refused'))]).toEqual([1, false]);
    expect(said.stderr).toContain('nothing could not be read');
  });
});

describe('wghub init', () => {
  it('believes nobody and serves without TLS unless told', async () => {
    expect((await init('plain', '--listen', '0.0.0.0:8090')).exit).toBe(0);
    expect(readConfig(at('plain'))).toMatchObject({ tls: null, publicUrl: null, proxies: [], corsOrigin: null });
  });

  it('writes down how the hub is reached', async () => {
    const urls = ['--public-url', 'https://hub.example/wg', '--cors-origin', 'https://panel.example:8443'];
    const proxies = ['--proxy', '127.0.0.1', 'fd42::/64,10.8.0.0/24'];
    expect((await init('files', ...urls, ...proxies, '--tls-cert', at('a.crt'), '--tls-key', at('a.key'))).exit).toBe(
      0,
    );
    expect(readConfig(at('files'))).toMatchObject({
      publicUrl: 'https://hub.example/wg',
      corsOrigin: 'https://panel.example:8443',
      proxies: ['127.0.0.1/32', 'fd42::/64', '10.8.0.0/24'],
      tls: { source: 'files', certificate: at('a.crt'), key: at('a.key'), oldest: '1.2' },
    });
    const shown = JSON.parse((await tls('show', 'files', '--json')).stdout);
    expect(shown).toMatchObject({ source: 'files', file: at('a.crt'), hosts: ['hub.example'] });
  });

  it('makes a certificate of the hub’s own, whose key is only in the vault', async () => {
    const said = await init('own', '--tls-own', 'Hub.Example', '192.0.2.1', '--json', '--listen', '0.0.0.0:8090');
    expect(said.exit).toBe(0);
    const { hosts, pin } = certificateFacts(readOwnCertificate(at('own')) ?? '');
    expect([hosts, JSON.parse(said.stdout).tlsPin]).toEqual([['hub.example', '192.0.2.1'], pin]);
    expect(readConfig(at('own')).tls).toEqual({ source: 'own', oldest: '1.2' });
    expect(readFileSync(ownCertificateFile(at('own')), 'utf8')).not.toContain('PRIVATE KEY');
  });
});

describe('wghub tls', () => {
  it('shows no certificate where there is none', async () => {
    const said = await tls('show', 'plain');
    expect([said.exit, said.stdout]).toEqual([1, '']);
    expect(said.stderr).toContain('the hub has no certificate of its own');
    expect(said.stderr).toContain('wghub tls make');
  });

  it.each([
    ['no name, where nothing tells one', [], '"--name" must be given'],
    ['a name that is none', ['--name', 'a b'], '"--name" must be names'],
    ['an address with a zone', ['--name', 'fe80::1%eth0'], '"--name" must be names'],
  ])('makes none for %s', async (_, more, words) => {
    const said = await tls('make', 'plain', ...more);
    expect([said.exit, said.stdout]).toEqual([2, '']);
    expect(said.stderr).toContain(words);
    expect(readOwnCertificate(at('plain'))).toBeNull();
  });

  it('makes one, says what it is known by, and that it is not served yet', async () => {
    const said = await tls('make', 'plain', '--name', 'hub.example', '2001:DB8::1', 'HUB.example');
    const { sha256, pin } = certificateFacts(readOwnCertificate(at('plain')) ?? '');
    expect(said.exit).toBe(0);
    for (const words of ['with a new key', 'hub.example, 2001:db8::1', sha256, pin])
      expect(said.stdout).toContain(words);
    expect(said.stderr).toContain('put "tls": {"source": "own"} into config.json');
    const shown = JSON.parse((await tls('show', 'plain', '--json')).stdout);
    expect(shown).toEqual({
      ...{ source: 'own', file: ownCertificateFile(at('plain')), hosts: ['hub.example', '2001:db8::1'] },
      ...{ from: expect.any(String), until: expect.any(String), sha256, pin },
    });
  });

  it('makes it anew for the names it has, with the same key unless told', async () => {
    const facts = () => certificateFacts(readOwnCertificate(at('own')) ?? '');
    const first = facts();
    const kept = await tls('make', 'own');
    expect([kept.exit, kept.stderr]).toEqual([0, '']);
    expect(kept.stdout).toContain('with the key of before');
    expect(facts()).toMatchObject({ hosts: first.hosts, pin: first.pin });
    expect(facts().sha256).not.toBe(first.sha256);
    const changed = JSON.parse((await tls('make', 'own', '--new-key', '--name', 'other.example', '--json')).stdout);
    expect(changed).toMatchObject({ key: 'new', hosts: ['other.example'], pin: facts().pin });
    expect(facts().pin).not.toBe(first.pin);
    expect((await tls('make', 'own', '--new-key')).stderr).toContain('does not know it any more');
  });
});

describe('wghub start', () => {
  const listenAt = (name: string, host: string, port: number): void => {
    writeFileSync(configFile(at(name)), JSON.stringify({ ...readConfig(at(name)), listen: { host, port } }));
  };

  it('serves nothing on an address that everybody reaches, without TLS', async () => {
    const said = await runHubCommand(addStartCommand, ['start', ...sealed('plain')]);
    expect([said.exit, said.stdout]).toEqual([3, '']);
    expect(said.stderr).toContain('0.0.0.0 is neither loopback nor in a tunnel, and "tls" is null');
    expect(said.stderr).toContain('wghub tls make');
  });

  it('serves nothing with files that are broken', async () => {
    writeFileSync(at('a.key'), 'rubbish');
    const said = await runHubCommand(addStartCommand, ['start', ...sealed('files')]);
    expect([said.exit, said.stdout]).toEqual([1, '']);
    expect(said.stderr).toContain('a.key holds no private key in PEM');
  });

  it.skipIf(!hasProgram('curl'))(
    'serves with TLS wherever it is told to, and asks nobody for a certificate',
    async () => {
      const port = await freePort();
      listenAt('own', '0.0.0.0', port);
      const main = join(import.meta.dirname, '../../wireguard/main.ts');
      const hub = await BackgroundProcess.start([process.execPath, main, 'start', ...sealed('own'), '--json'], {
        readyWhen: /serving/,
        timeoutMs: 30_000,
      });
      try {
        expect(JSON.parse(hub.output())).toMatchObject({ serving: `https://0.0.0.0:${port}` });
        const { pin } = certificateFacts(readOwnCertificate(at('own')) ?? '');
        const health = (...more: string[]) =>
          run(['curl', '-sSkv', '--pinnedpubkey', pin, ...more, `https://127.0.0.1:${port}/api/health`], {
            timeoutMs: 20_000,
            allowExit: 'any',
          });
        const [newest, older, oldest] = [
          await health(),
          await health('--tls-max', '1.2'),
          await health('--tls-max', '1.1'),
        ];
        expect(JSON.parse(newest.stdout.toString())).toMatchObject({ status: 'online' });
        expect(newest.stderr.toString()).toContain('TLSv1.3');
        expect(newest.stderr.toString()).not.toContain('Request CERT');
        expect(older.stderr.toString()).toContain('SSL connection using TLSv1.2 / ECDHE-ECDSA-AES');
        expect([older.exit, oldest.exit]).toEqual([0, 35]);
        const served = new X509Certificate(readOwnCertificate(at('own')) ?? '');
        expect(served.checkHost('other.example')).toBe('other.example');
      } finally {
        await hub.stop();
      }
    },
  );
});
