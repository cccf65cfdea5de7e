import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type Agent, Agent as HttpsAgent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { selfSigned } from '../../platform/certificates/self-signed.ts';
import { systemRandom } from '../../platform/clock.ts';
import { type Identity, privateKeyPem } from '../../platform/listening/identity.ts';
import { type Listener, listen } from '../../platform/listening/listen.ts';
import { createLog } from '../../platform/log.ts';
import { run } from '../../platform/run.ts';
import { hubConfig } from '../../wireguard/data/hub-config.ts';
import { certificateFacts } from '../../wireguard/front/certificate-facts.ts';
import { type CertificateFiles, readCertificateFiles } from '../../wireguard/front/certificate-files.ts';
import { sourceFor } from '../../wireguard/front/certificate-source.ts';
import {
  makeOwnCertificate,
  ownCertificateFile,
  readOwnCertificate,
  sealedOwnKey,
} from '../../wireguard/front/own-certificate.ts';
import { TlsKeeper } from '../../wireguard/front/tls-keeper.ts';
import { tlsPin } from '../../wireguard/front/tls-pin.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { hasProgram } from '../harness/programs.ts';
import { eventsOf, type MadeHub, makeHub } from './made-hub.ts';

const day = 86_400_000;
let folder: string;
let made: MadeHub;
let now: number;
let logged: PassThrough;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-tls-'));
  made = await makeHub();
});
afterAll(async () => {
  await made.remove();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  now = Date.now();
  logged = new PassThrough();
});

const newPair = (host: string, days = 90): Promise<Identity> =>
  selfSigned({ hosts: [host], days, now, privateKey: null }, systemRandom);
const heard = (): string => logged.read()?.toString() ?? '';

function put(name: string, { certificate, privateKey }: Identity): CertificateFiles {
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  for (const path of Object.values(files)) rmSync(path, { force: true });
  writeFileSync(files.certificate, certificate);
  writeFileSync(files.key, privateKeyPem(privateKey), { mode: 0o600 });
  return files;
}

type Tls = 'own' | CertificateFiles | null;

function about(tls: Tls, publicUrl: string | null = null) {
  const listenAt = { host: '0.0.0.0', port: 0 };
  const chosen = tls === null ? null : tls === 'own' ? { source: tls } : { source: 'files' as const, ...tls };
  const config = hubConfig({ version: 1, name: 'hub', listen: listenAt, tls: chosen, publicUrl });
  const { store, directory } = made.data;
  return { config, store, directory, vault: made.vault, clock: { now: () => now }, random: systemRandom };
}

const open = async (tls: Tls, publicUrl: string | null = null): Promise<TlsKeeper> => {
  const source = sourceFor(about(tls, publicUrl));
  if (source === null) throw new Error('there is no source');
  return TlsKeeper.open({ source, log: createLog({ level: 'info', destination: logged }), clock: { now: () => now } });
};

const makeOwn = (hosts: readonly string[], newKey = false): Promise<Identity> =>
  makeOwnCertificate(about('own'), { hosts, newKey, by: COMMAND, now }, systemRandom);
const hostOf = ({ identity }: TlsKeeper) => certificateFacts(identity.certificate).hosts;

describe('readCertificateFiles() refuses', () => {
  let good: CertificateFiles;
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  beforeAll(async () => {
    now = Date.now();
    good = put('good', await newPair('hub.example'));
  });

  it.each([
    ['a certificate that is not there', () => ({ ...good, certificate: join(folder, 'none') }), 'file_not_read'],
    ['a key that is not there', () => ({ ...good, key: join(folder, 'none') }), 'file_not_read'],
    ['a certificate that is none', () => ({ ...good, certificate: file('a', 'CANARY') }), 'tls_unusable'],
    ['a certificate that is a key', () => ({ ...good, certificate: good.key }), 'tls_unusable'],
    ['a key that is none', () => ({ ...good, key: file('b', 'CANARY') }), 'tls_unusable'],
    [
      'a certificate in place of the key',
      () => ({ ...good, key: file('c', readFileSync(good.certificate, 'utf8')) }),
      'tls_unusable',
    ],
    ['a file of endless size', () => ({ ...good, certificate: file('d', 'x'.repeat(70_000)) }), 'file_not_read'],
  ])('%s, and quotes nothing of it', (_, files, code) => {
    expect(() => readCertificateFiles(files())).toThrow(expect.objectContaining({ code }));
    expect(() => readCertificateFiles(files())).toThrow(expect.not.stringContaining('CANARY'));
  });

  it('a key of another certificate', async () => {
    const other = put('other', await newPair('hub.example'));
    expect(() => readCertificateFiles({ ...good, key: other.key })).toThrow(`is not the key of ${good.certificate}`);
  });

  it('a key that others may read', async () => {
    const files = put('wide', await newPair('hub.example'));
    chmodSync(files.key, 0o644);
    expect(() => readCertificateFiles(files)).toThrow(expect.objectContaining({ code: 'file_too_open', exit: 3 }));
  });

  it('nothing of a pair, in whatever form the key is', async () => {
    expect(readCertificateFiles(good).certificate).toBe(readFileSync(good.certificate, 'utf8'));
    if (!hasProgram('openssl')) return;
    const key = join(folder, 'rsa.key');
    const certificate = join(folder, 'rsa.crt');
    const words = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=rsa',
      '-keyout',
      key,
      '-out',
      certificate,
    ];
    await run(['openssl', ...words], { timeoutMs: 60_000 });
    chmodSync(key, 0o600);
    await run(['openssl', 'rsa', '-traditional', '-in', key, '-out', `${key}.old`], { timeoutMs: 60_000 });
    chmodSync(`${key}.old`, 0o600);
    expect(readFileSync(`${key}.old`, 'utf8')).toContain('BEGIN RSA PRIVATE KEY');
    expect(readCertificateFiles({ certificate, key: `${key}.old` })).toEqual(
      readCertificateFiles({ certificate, key }),
    );
    const locked = ['rsa', '-in', key, '-aes128', '-passout', 'pass:CANARY', '-out', `${key}.locked`];
    await run(['openssl', ...locked], { timeoutMs: 60_000 });
    chmodSync(`${key}.locked`, 0o600);
    expect(() => readCertificateFiles({ certificate, key: `${key}.locked` })).toThrow('without a passphrase');
  });
});

describe('a hub with files of somebody else', () => {
  let files: CertificateFiles;
  let keeper: TlsKeeper;
  let listener: Listener;
  beforeEach(async () => {
    files = put('served', await newPair('first.example'));
    keeper = await open(files);
    listener = await listen(
      { host: '127.0.0.1', port: 0 },
      keeper.identity,
      null,
      (_, response) => void response.end('ok'),
    );
    keeper.serve(listener);
  });
  afterEach(async () => {
    await keeper.stop();
    await listener.stop();
  });

  const servedName = (agent?: Agent): Promise<string> =>
    new Promise((resolve, reject) => {
      const about = { host: '127.0.0.1', port: listener.port, rejectUnauthorized: false };
      if (agent === undefined) {
        const socket = connect(about, () => {
          resolve(new X509Certificate(socket.getPeerCertificate().raw).subject);
          socket.destroy();
        });
        socket.on('error', reject);
        return;
      }
      const asked = request({ ...about, agent }, (response) => {
        const { subject } = new X509Certificate(
          (response.socket as import('node:tls').TLSSocket).getPeerCertificate().raw,
        );
        response.resume().on('end', () => resolve(`${subject} ${asked.reusedSocket}`));
      });
      asked.on('error', reject);
      asked.end();
    });

  it.each([
    [
      'a certificate without its key',
      async () => writeFileSync(files.certificate, (await newPair('second.example')).certificate),
    ],
    ['rubbish', async () => writeFileSync(files.certificate, 'rubbish')],
    ['nothing at all', async () => rmSync(files.key)],
    ['a key that others may read', async () => chmodSync(files.key, 0o644)],
  ])('goes on with the pair it has when it is given %s, and says so once', async (_, spoil) => {
    await spoil();
    await keeper.look();
    await keeper.look();
    expect(await servedName()).toBe('CN=first.example');
    expect(heard().match(/certificate was not taken/g)).toHaveLength(1);
  });

  it('serves new connections with the new pair once it is whole, and keeps those that are open', async () => {
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
    expect(await servedName(agent)).toBe('CN=first.example false');
    const next = await newPair('second.example');
    writeFileSync(files.certificate, next.certificate); // as a renewal does: one file, then the other
    await keeper.look();
    expect(await servedName()).toBe('CN=first.example');
    writeFileSync(files.key, privateKeyPem(next.privateKey));
    await keeper.look();
    expect(await servedName()).toBe('CN=second.example');
    expect(await servedName(agent)).toBe('CN=first.example true');
    expect(heard()).toContain('certificate was replaced');
    agent.destroy();
  });

  it('follows links that are led elsewhere, as certbot has them', async () => {
    const [one, two] = [put('archive1', await newPair('one.example')), put('archive2', await newPair('two.example'))];
    const live = { certificate: join(folder, 'live.crt'), key: join(folder, 'live.key') };
    const lead = (to: CertificateFiles): void => {
      for (const name of ['certificate', 'key'] as const) {
        symlinkSync(to[name], `${live[name]}.new`);
        renameSync(`${live[name]}.new`, live[name]);
      }
    };
    lead(one);
    const linked = await open(live);
    expect(hostOf(linked)).toEqual(['one.example']);
    lead(two);
    await linked.look();
    expect(hostOf(linked)).toEqual(['two.example']);
  });

  it('warns of a certificate that nobody renewed, once a day', async () => {
    now += 77 * day;
    for (let look = 0; look < 3; look += 1) await keeper.look();
    expect(heard().match(/certificate ends soon/g)).toHaveLength(1);
    now += day;
    await keeper.look();
    expect(heard().match(/certificate ends soon/g)).toHaveLength(1);
  });

  it('has no pin: others vouch for it', async () => {
    expect([keeper.pin, await tlsPin(about(files)), await tlsPin(about(null))]).toEqual([null, null, null]);
  });

  it('does not start with a pair that is none', async () => {
    rmSync(files.key);
    await expect(open(files)).rejects.toMatchObject({ code: 'file_not_read' });
  });
});

describe('a hub with a certificate of its own', () => {
  beforeEach(async () => {
    await made.data.store.transaction((tx) => tx.deleteFrom('server_secret').where('name', '=', 'tls-key').execute());
    rmSync(ownCertificateFile(made.data.directory), { force: true });
  });

  it('does not start without one, and has no pin then', async () => {
    await expect(open('own')).rejects.toMatchObject({ code: 'tls_missing', hint: expect.stringContaining('tls make') });
    await expect(tlsPin(about('own'))).rejects.toMatchObject({ code: 'tls_missing' });
    expect(readOwnCertificate(made.data.directory)).toBeNull();
  });

  it('has the key in the vault and nowhere else', async () => {
    const { privateKey } = await makeOwn(['hub.example']);
    const { directory } = made.data;
    expect(readFileSync(ownCertificateFile(directory), 'utf8')).toMatch(
      /^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/,
    );
    const secret = privateKey.subarray(36, 68); // of PKCS#8 for P-256: the scalar itself
    for (const name of ['hub.db', 'hub.db-wal', 'tls.pem', 'config.json', 'vault.json']) {
      expect(readFileSync(join(directory, name)).includes(secret)).toBe(false);
    }
    expect(JSON.stringify(await eventsOf(made.data))).toContain('tls_certificate_made');
  });

  it('is for its names and servers alone, no authority, and no longer than browsers take', async () => {
    const { certificate } = await makeOwn(['hub.example', '192.0.2.1', '2001:db8::1']);
    const read = new X509Certificate(certificate);
    expect(read.subjectAltName).toBe('DNS:hub.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1');
    expect([read.ca, read.keyUsage, read.subject]).toEqual([false, ['1.3.6.1.5.5.7.3.1'], 'CN=hub.example']);
    expect(read.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(read.validToDate.getTime() - read.validFromDate.getTime()).toBeLessThan(398 * day);
  });

  it('keeps its pin when it is made anew, and has another with a new key', async () => {
    const first = await makeOwn(['hub.example']);
    const pin = await tlsPin(about('own'));
    const sealed = await made.data.store.read(sealedOwnKey);
    const again = await makeOwn(['other.example']);
    expect(await made.data.store.read(sealedOwnKey)).toEqual(sealed);
    expect(again.certificate).not.toBe(first.certificate);
    expect(await tlsPin(about('own'))).toBe(pin);
    const { certificate } = await makeOwn(['other.example'], true);
    expect(await tlsPin(about('own'))).not.toBe(pin);
    expect(await tlsPin(about('own'))).toBe(certificateFacts(certificate).pin);
  });

  it('takes up what a command makes while it runs', async () => {
    await makeOwn(['hub.example']);
    const keeper = await open('own');
    const { pin } = keeper;
    await makeOwn(['other.example']);
    await keeper.look();
    expect([hostOf(keeper), keeper.pin]).toEqual([['other.example'], pin]);
    await makeOwn(['other.example'], true);
    await keeper.look();
    expect(keeper.pin).toBe(await tlsPin(about('own')));
    expect(keeper.pin).not.toBe(pin);
  });

  it('renews it by itself, with the same key, 30 days before it ends', async () => {
    await makeOwn(['hub.example']);
    const keeper = await open('own');
    const [before, pin] = [keeper.identity.certificate, keeper.pin];
    now += 366 * day;
    await keeper.look();
    expect(keeper.identity.certificate).toBe(before);
    now += 2 * day;
    await keeper.look();
    expect(keeper.identity.certificate).not.toBe(before);
    expect([keeper.pin, hostOf(keeper)]).toEqual([pin, ['hub.example']]);
    await keeper.look();
    expect(heard().match(/certificate was replaced/g)).toHaveLength(1);
    expect(await eventsOf(made.data)).toEqual(expect.arrayContaining(['tls_certificate_made']));
  });

  it.each([
    ['is gone, as after a restore', async () => rmSync(ownCertificateFile(made.data.directory))],
    [
      'is of another key',
      async () =>
        put('x', await newPair('hub.example')) &&
        writeFileSync(ownCertificateFile(made.data.directory), (await newPair('panel.example')).certificate),
    ],
  ])('makes it anew with the key in the vault when the file %s', async (_, spoil) => {
    await makeOwn(['panel.example']);
    const pin = await tlsPin(about('own'));
    await spoil();
    const keeper = await open('own', 'https://panel.example:8443/hub');
    expect([hostOf(keeper), keeper.pin]).toEqual([['panel.example'], pin]);
  });

  it('does not guess what it is called', async () => {
    await makeOwn(['panel.example']);
    rmSync(ownCertificateFile(made.data.directory));
    await expect(open('own')).rejects.toMatchObject({ code: 'tls_missing' });
  });

  it.skipIf(!hasProgram('curl'))('is known by its pin to curl, and by no other', async () => {
    const keeper = await open('own').catch(async () => {
      await makeOwn(['hub.example']);
      return open('own');
    });
    const listener = await listen(
      { host: '127.0.0.1', port: 0 },
      keeper.identity,
      null,
      (_, response) => void response.end('ok'),
    );
    const curl = (pin: string, ...more: string[]) =>
      run(['curl', '-sS', ...more, '--pinnedpubkey', pin, `https://127.0.0.1:${listener.port}/`], {
        timeoutMs: 20_000,
        allowExit: 'any',
      });
    const [good, bad, unknown] = [
      await curl(keeper.pin ?? '', '-k'),
      await curl(certificateFacts((await newPair('hub.example')).certificate).pin, '-k'),
      await curl(keeper.pin ?? ''),
    ];
    expect([good.exit, good.stdout.toString()]).toEqual([0, 'ok']);
    expect([bad.exit, bad.stdout.toString()]).toEqual([90, '']); // CURLE_SSL_PINNEDPUBKEYNOTMATCH
    expect([unknown.exit, unknown.stdout.toString()]).toEqual([60, '']);
    await listener.stop();
  });
});
