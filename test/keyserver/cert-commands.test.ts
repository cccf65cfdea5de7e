import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminOf } from '../../keyserver/certificates/admin.ts';
import { Authorities, readAuthorities } from '../../keyserver/certificates/authorities.ts';
import { issuedFrom } from '../../keyserver/certificates/identity.ts';
import { signClientRequest } from '../../keyserver/certificates/issuing.ts';
import { recordClientCertificate } from '../../keyserver/certificates/records.ts';
import { addCertCommands } from '../../keyserver/commands/cert.ts';
import { addClientCommands } from '../../keyserver/commands/client.ts';
import { addDoctorCommand } from '../../keyserver/commands/doctor.ts';
import { addInitCommand } from '../../keyserver/commands/init.ts';
import { openServerData } from '../../keyserver/server-data.ts';
import { loadAuthority } from '../../keyserver/server-secrets.ts';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { run } from '../../platform/run.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { newRequest } from './certificate-request.ts';
import { runCommand, type Said } from './command-runner.ts';

const password = 'correct horse battery';
let folder: string;
let data: string;
let keyfile: string;
let passwordFile: string;
/** Of a client's certificate. */
let serial: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-cert-'));
  data = join(folder, 'data');
  keyfile = join(folder, 'keyfile');
  passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  expect((await keyserver('init', '--listen', '127.0.0.1:8443', '--keyfile', keyfile)).exit).toBe(0);
  expect((await keyserver('client', 'add', 'cloud', '--from', '127.0.0.0/8')).exit).toBe(0);
  await beside(async (server, vault) => {
    const now = systemClock.now();
    const authority = await server.store.read((tx) => loadAuthority(tx, vault));
    const { id } = await server.store.read((tx) => tx.selectFrom('client').select('id').executeTakeFirstOrThrow());
    const issued = await signClientRequest(authority, (await newRequest()).csr, id, now, systemRandom);
    await server.store.transaction((tx) => recordClientCertificate(tx, id, issued, authority.serial, now));
    writeFileSync(join(folder, 'client.crt'), issued.pem);
    serial = issued.serial;
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function beside<T>(
  work: (
    server: Awaited<ReturnType<typeof openServerData>>,
    vault: Awaited<ReturnType<typeof unsealVault>>,
  ) => Promise<T>,
): Promise<T> {
  const server = await openServerData(data);
  try {
    return await work(server, await unsealVault(data, keyfileMethod(keyfile), systemRandom));
  } finally {
    await server.store.close();
  }
}

/** The program as its main file puts it together, in this process. */
function keyserver(...argv: string[]): Promise<Said> {
  const build = (program: Command, io: CommandIo): void => {
    for (const add of [addInitCommand, addClientCommands, addCertCommands, addDoctorCommand]) add(program, io);
  };
  return runCommand(build, [...argv, '--data', data]);
}

async function cert(...argv: string[]): Promise<Record<string, unknown>> {
  const said = await keyserver('cert', ...argv, '--json');
  expect(said).toMatchObject({ exit: 0, stderr: expect.not.stringContaining('error') });
  return JSON.parse(said.stdout) as Record<string, unknown>;
}

async function openssl(...argv: string[]): Promise<{ exit: number; text: string }> {
  const { exit, stdout, stderr } = await run(['openssl', ...argv], { timeoutMs: 30_000, allowExit: 'any' });
  return { exit, text: stdout.toString() + stderr };
}

/** The first certificate in a text. */
function certificateIn(text: string): string {
  return /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n/.exec(text)?.[0] ?? '';
}

const verify = (file: string, ...more: string[]) =>
  openssl('verify', '-crl_check', '-CRLfile', join(data, 'crl.pem'), '-CAfile', join(data, 'ca.pem'), ...more, file);

describe('keyserver cert refuses', () => {
  it.each<[string, string[], number, string]>([
    ['a serial nobody has', ['show', 'ABCDEF0123456789'], 1, 'no certificate has this serial'],
    ['too little of a serial', ['show', 'AB'], 1, 'no certificate has this serial'],
    ['what is no serial', ['revoke', "' or 1=1 --"], 1, 'no certificate has this serial'],
    ['a client nobody added', ['list', '--client', 'nobody'], 1, 'no client of that name'],
    ['to make anything without the vault', ['renew-server'], 2, 'sealed with a keyfile'],
    ['a switch before the beginning', ['rollover', 'switch', '--keyfile', 'K'], 3, 'no authority is being replaced'],
    ['an end before the beginning', ['rollover', 'finish'], 3, 'no authority is being replaced'],
    ['an administrator without a file', ['export-admin', '--name', 'anna', '--keyfile', 'K'], 2, 'required option'],
  ])('%s', async (_, argv, exit, words) => {
    const said = await keyserver('cert', ...argv.map((word) => (word === 'K' ? keyfile : word)));
    expect([said.exit, said.stdout]).toEqual([exit, '']);
    expect(said.stderr).toContain(words);
  });
  it('to revoke what the server stands on', async () => {
    const { certificates } = (await cert('list')) as { certificates: { serial: string; purpose: string }[] };
    for (const [purpose, hint] of [
      ['ca', 'rollover'],
      ['server', 'renew-server'],
    ]) {
      const found = certificates.find((one) => one.purpose === purpose)?.serial ?? '';
      const said = await keyserver('cert', 'revoke', found);
      expect(said.exit).toBe(3);
      expect(said.stderr).toContain(`hint: keyserver cert ${hint}`);
    }
  });
  it.each([
    ['a password that others can read', 'correct horse battery', 0o644, 3],
    ['a short password', 'correct', 0o600, 2],
    ['a password that not every keyboard has', 'correct hörse battery', 0o600, 2],
  ])('%s, and makes nothing', async (_, text, mode, exit) => {
    const weak = join(folder, 'weak');
    writeFileSync(weak, text);
    chmodSync(weak, mode);
    const out = join(folder, 'none.p12');
    const argv = ['--name', 'anna', '--out', out, '--password-file', weak, '--keyfile', keyfile];
    expect((await keyserver('cert', 'export-admin', ...argv)).exit).toBe(exit);
    expect(existsSync(out)).toBe(false);
    const { certificates } = (await cert('list', '--all')) as { certificates: { purpose: string }[] };
    expect(certificates.filter((one) => one.purpose === 'admin')).toEqual([]);
  });
});

describe('keyserver cert revoke', () => {
  it('ends a certificate at once, and before other programs once the lists are written', async () => {
    const file = join(folder, 'client.crt');
    expect(await verify(file, '-purpose', 'sslclient', '-x509_strict')).toMatchObject({ exit: 0 });
    expect(await cert('revoke', serial.slice(0, 10).toLowerCase())).toEqual({ revoked: serial, changed: true });
    expect(await cert('revoke', serial)).toEqual({ revoked: serial, changed: false });
    expect(await cert('show', serial)).toMatchObject({ state: 'revoked', revokeReason: 'revoked', owner: 'cloud' });
    const listed = (await cert('list')) as { certificates: { serial: string }[] };
    expect(listed.certificates.map((one) => one.serial)).not.toContain(serial);
    const written = await cert('crl', '--keyfile', keyfile);
    expect(written).toMatchObject({ authorities: 1, revoked: 1 });
    const after = await verify(file);
    expect(after.exit).not.toBe(0);
    expect(after.text).toContain('certificate revoked');
  });
  it('is in lists that OpenSSL takes, signed by the authority, in both forms', async () => {
    const ca = join(data, 'ca.pem');
    for (const form of ['pem', 'der']) {
      const file = join(data, `crl.${form}`);
      const said = await openssl('crl', '-in', file, '-inform', form.toUpperCase(), '-CAfile', ca, '-noout', '-text');
      expect(said.exit).toBe(0);
      expect(said.text).toContain('verify OK');
      expect(said.text.replaceAll(':', '')).toContain(serial);
      expect(said.text).toContain('X509v3 CRL Number');
      expect(statSync(file).mode & 0o777).toBe(0o644);
    }
  });
});

describe('keyserver cert export-admin', () => {
  it('makes a PKCS#12 file that opens with its password, holds key and chain, and is for nobody else', async () => {
    const out = join(folder, 'anna.p12');
    const argv = ['--name', 'anna', '--out', out, '--password-file', passwordFile, '--keyfile', keyfile];
    const made = await cert('export-admin', ...argv);
    expect(made).toMatchObject({ name: 'anna', file: out });
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const again = await keyserver('cert', 'export-admin', ...argv);
    expect(again).toMatchObject({ exit: 3, stdout: '' });
    const open = (...more: string[]) => openssl('pkcs12', '-in', out, '-passin', `file:${passwordFile}`, ...more);
    const info = await open('-info', '-noout');
    expect(info.text).toContain('MAC: sha256');
    expect(info.text).toContain('PBES2, PBKDF2, AES-256-CBC');
    const leaf = (await open('-clcerts', '-nokeys')).text;
    expect(leaf).toContain('friendlyName: Latchkey anna');
    writeFileSync(join(folder, 'anna.pem'), leaf);
    expect(await verify(join(folder, 'anna.pem'), '-purpose', 'sslclient')).toMatchObject({ exit: 0 });
    const chain = certificateIn((await open('-cacerts', '-nokeys')).text);
    expect(chain).toBe(readFileSync(join(data, 'ca.pem'), 'utf8'));
    const key = join(folder, 'anna.key');
    writeFileSync(key, (await open('-nocerts', '-nodes')).text, { mode: 0o600 });
    const ofKey = await openssl('pkey', '-in', key, '-pubout');
    const ofLeaf = await openssl('x509', '-in', join(folder, 'anna.pem'), '-pubkey', '-noout');
    expect(ofKey.text).toBe(ofLeaf.text);
    const wrong = join(folder, 'wrong');
    writeFileSync(wrong, 'another password\n', { mode: 0o600 });
    expect((await openssl('pkcs12', '-in', out, '-passin', `file:${wrong}`, '-noout')).exit).not.toBe(0);
    expect((await cert('list')).certificates).toContainEqual(
      expect.objectContaining({ purpose: 'admin', owner: 'anna', serial: made.serial }),
    );
  });
  it('is known as its owner by pages that ask for it, until it is revoked', async () => {
    const pem = certificateIn(readFileSync(join(folder, 'anna.pem'), 'utf8'));
    const issued = issuedFrom(pem);
    const who = (now: number, change: object = {}) =>
      beside(async ({ store }) => {
        const authority = (await store.read(readAuthorities))[0]?.serial ?? null;
        const { digest, notBefore, notAfter } = issued;
        const shown = { serial: issued.serial, subject: '', digest, notBefore, notAfter, forClients: true, authority };
        return store.read((tx) => adminOf(tx, { ...shown, ...change }, now));
      });
    const now = Date.now();
    expect(await who(now)).toBe('anna');
    expect(await who(issued.notAfter + 1)).toBeNull();
    expect(await who(issued.notBefore - 1)).toBeNull();
    expect(await who(now, { authority: null })).toBeNull();
    expect(await who(now, { digest: Buffer.alloc(32) })).toBeNull();
    expect(await who(now, { forClients: false })).toBeNull();
    expect(await who(now, { serial: 'FF' })).toBeNull();
    expect(await beside(({ store }) => store.read((tx) => adminOf(tx, null, now)))).toBeNull();
    await cert('revoke', issued.serial);
    expect(await who(now)).toBeNull();
  });
});

describe('keyserver cert rollover', () => {
  it('goes from one authority to the next, each certificate standing under its own', async () => {
    const old = readFileSync(join(data, 'ca.pem'), 'utf8');
    expect(await cert('rollover', 'status')).toMatchObject({ phase: 'none', ending: null });
    const begun = await cert('rollover', 'begin', '--keyfile', keyfile);
    expect(begun).toMatchObject({ phase: 'begun', clients: [] });
    const both = readFileSync(join(data, 'ca.pem'), 'utf8');
    expect(both.endsWith(old)).toBe(true);
    expect(await cert('rollover', 'switch', '--keyfile', keyfile)).toMatchObject({ phase: 'switched' });
    await cert('crl', '--keyfile', keyfile);
    const { certificates } = (await cert('list')) as { certificates: { serial: string; purpose: string }[] };
    const own = certificates.find((one) => one.purpose === 'server')?.serial ?? '';
    const file = join(folder, 'server.pem');
    writeFileSync(file, String((await cert('show', own)).pem));
    expect(await verify(file, '-purpose', 'sslserver', '-x509_strict')).toMatchObject({ exit: 0 });
    expect(await cert('rollover', 'finish')).toMatchObject({ phase: 'none' });
    expect(both.startsWith(readFileSync(join(data, 'ca.pem'), 'utf8'))).toBe(true);
    expect(await verify(file)).toMatchObject({ exit: 0 });
    await beside(async ({ store }) => {
      const authorities = await Authorities.load(store, systemClock);
      expect(authorities.news(Date.now())).toBe(authorities.bundle);
      expect(authorities.news(Date.now() + 91 * 86_400_000)).toBeNull();
    });
  });
  it('leaves a server that is well', async () => {
    const said = await keyserver('doctor', '--keyfile', keyfile);
    expect(said.stdout).toMatch(/^ok +vault +opens/m);
    expect(said.stdout).toMatch(/^ok +certificate authority +\d+ days left/m);
    expect(said.stdout).not.toContain('fault');
    const table = await keyserver('cert', 'list', '--all');
    expect(table.stdout).toMatch(/^[0-9A-F]{16} +client +cloud +revoked /m);
  });
});
