import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isServerCertificateFor } from '../../keyserver/certificates/identity.ts';
import { createAuthority, issueServerIdentity, signClientRequest } from '../../keyserver/certificates/issuing.ts';
import { certificateEnd, type Identity } from '../../platform/listening/identity.ts';
import { run } from '../../platform/run.ts';

const now = Date.UTC(2026, 10, 20, 12);
const day = 86_400_000;
let folder: string;
let authority: Identity;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-certificates-'));
  authority = await createAuthority('Test CA', now, randomBytes);
  writeFileSync(join(folder, 'ca.pem'), authority.certificate);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function request(...key: string[]): Promise<string> {
  const argv = [
    'req',
    '-new',
    '-nodes',
    '-keyout',
    '/dev/null',
    '-subj',
    '/CN=somebody else',
    '-newkey',
    ...key,
  ] as const;
  return (await run(['openssl', ...argv], { timeoutMs: 30_000 })).stdout.toString();
}

/** Asks OpenSSL, as a second opinion, with the strict checks of RFC 5280. */
async function verdict(pem: string, purpose: string): Promise<number> {
  const file = join(folder, 'leaf.pem');
  writeFileSync(file, pem);
  const at = String(Math.floor(now / 1000));
  const argv = ['-attime', at, '-x509_strict', '-purpose', purpose, '-CAfile', join(folder, 'ca.pem'), file] as const;
  return (await run(['openssl', 'verify', ...argv], { timeoutMs: 30_000, allowExit: 'any' })).exit;
}

const refused = { code: 'csr_refused', status: 400, field: 'csr' };
const sign = (csr: string) => signClientRequest(authority, csr, 'lk-1', now, randomBytes);

describe('signClientRequest()', () => {
  it('refuses a request whose signature was not made by the key it names', async () => {
    const [mine, theirs] = [
      await request('ec', '-pkeyopt', 'ec_paramgen_curve:P-256'),
      await request('ec', '-pkeyopt', 'ec_paramgen_curve:P-256'),
    ];
    const body = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const [a, b] = [body(mine), body(theirs)];
    // the last bytes are the signature; the other request's are as well formed
    const forged = Buffer.concat([a.subarray(0, a.length - 20), b.subarray(b.length - 20)]);
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${forged.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(sign(pem)).rejects.toMatchObject(refused);
  });
  it.each([
    ['rsa:1024', ['rsa:1024']],
    ['P-224', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp224r1']],
    ['secp256k1', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']],
  ])('refuses a weak or odd key: %s', async (_, key) => {
    await expect(sign(await request(...key))).rejects.toMatchObject(refused);
  });
  it.each([
    ['nothing', ''],
    ['no PEM', 'csr'],
    ['a certificate', 'CERT'],
    ['two requests', 'TWO'],
    ['rubbish in PEM', '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n'],
    [
      'more than 8 KiB',
      `-----BEGIN CERTIFICATE REQUEST-----\n${'A'.repeat(8192)}\n-----END CERTIFICATE REQUEST-----\n`,
    ],
  ])('refuses %s', async (_, text) => {
    const good = text === 'TWO' ? await request('rsa:2048') : '';
    const csr = text === 'CERT' ? authority.certificate : text === 'TWO' ? good + good : text;
    await expect(sign(csr)).rejects.toMatchObject(refused);
  });
  it('gives the client id as the only name, for 30 days, for clients only', async () => {
    const issued = await sign(await request('rsa:2048'));
    const certificate = new X509Certificate(issued.pem);
    expect(certificate.subject).toBe('CN=lk-1');
    expect(certificate.subjectAltName).toBeUndefined();
    expect(issued.notAfter).toBe(now + 30 * day);
    expect(await verdict(issued.pem, 'sslclient')).toBe(0);
    expect(await verdict(issued.pem, 'sslserver')).not.toBe(0);
  });
  it.each([['P-256'], ['P-384']])('signs a %s key', async (curve) => {
    await expect(sign(await request('ec', '-pkeyopt', `ec_paramgen_curve:${curve}`))).resolves.toBeDefined();
  });
});

describe('issueServerIdentity()', () => {
  const hosts = ['keys.example', '10.8.0.1', 'fd42::1'];
  it('names every host and nothing else', async () => {
    const { certificate } = await issueServerIdentity(authority, hosts, now, randomBytes);
    expect(isServerCertificateFor(certificate, authority.certificate, hosts)).toBe(true);
    expect(isServerCertificateFor(certificate, authority.certificate, [...hosts, '10.8.0.2'])).toBe(false);
    expect(isServerCertificateFor(certificate, authority.certificate, ['other.example'])).toBe(false);
  });
  it('stands before OpenSSL as a server and not as a client or an authority', async () => {
    const { certificate } = await issueServerIdentity(authority, hosts, now, randomBytes);
    expect(await verdict(certificate, 'sslserver')).toBe(0);
    expect(await verdict(certificate, 'sslclient')).not.toBe(0);
    expect(new X509Certificate(certificate).ca).toBe(false);
  });
  it("is not taken for another authority's", async () => {
    const other = await createAuthority('Test CA', now, randomBytes);
    const { certificate } = await issueServerIdentity(other, hosts, now, randomBytes);
    expect(isServerCertificateFor(certificate, authority.certificate, hosts)).toBe(false);
  });
  it('does not outlive its authority', async () => {
    const late = now + 3640 * day;
    const { certificate } = await issueServerIdentity(authority, hosts, late, randomBytes);
    expect(certificateEnd(certificate)).toBe(certificateEnd(authority.certificate));
  });
});
