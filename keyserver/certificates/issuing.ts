import '../../platform/certificates/reflect-metadata.ts';
import { createPublicKey, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import {
  alternativeNames,
  backdate,
  pemOf,
  serialFrom,
  subject,
} from '../../platform/certificates/certificate-parts.ts';
import { ecdsa, newKeys, pkcs8 } from '../../platform/certificates/ecdsa-key.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { certificateEnd, type Identity } from '../../platform/listening/identity.ts';
import { type IssuedCertificate, issuedFrom } from './identity.ts';

const day = 86_400_000;
const authorityDays = 3650;
const serverDays = 397;
const clientDays = 30;
const adminDays = 397;
/** A revocation list is written anew long before; the rest is for a server that is down meanwhile. */
const listDays = 7;
const largestRequest = 8192;

/** A new certificate authority: ECDSA P-256, may sign end certificates only. */
export async function createAuthority(name: string, now: number, random: RandomBytes): Promise<Identity> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialFrom(random),
    name: subject(name),
    notBefore: new Date(now - backdate),
    notAfter: new Date(now + authorityDays * day),
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), privateKey: await pkcs8(keys.privateKey) };
}

/** A server certificate for `hosts` (names and IP addresses), with a new ECDSA P-256 key. */
export async function issueServerIdentity(
  authority: Identity,
  hosts: readonly string[],
  now: number,
  random: RandomBytes,
): Promise<Identity> {
  const keys = await newKeys();
  const certificate = await issue(authority, {
    subject: subject(hosts[0] ?? ''),
    publicKey: keys.publicKey,
    serialNumber: serialFrom(random),
    ...validity(authority, now, serverDays),
    usage: x509.ExtendedKeyUsage.serverAuth,
    more: [alternativeNames(hosts)],
  });
  return { certificate, privateKey: await pkcs8(keys.privateKey) };
}

/**
 * Answers a certificate request (PKCS#10, PEM) with a client certificate for `clientId`, good for 30 days. Whatever
 * else the request asks for is ignored. Refused (`csr_refused`): no proof that the sender holds the key, or a weak key.
 */
export async function signClientRequest(
  authority: Identity,
  request: string,
  clientId: string,
  now: number,
  random: RandomBytes,
): Promise<IssuedCertificate> {
  const csr = parseRequest(request);
  const proven = await csr.verify().catch(() => false);
  if (!proven) throw refused('must be signed with the key it names');
  if (!isStrongKey(csr.publicKey)) throw refused('must name a P-256, P-384, Ed25519 or RSA key of 2048 to 8192 bits');
  const pem = await issue(authority, {
    subject: subject(clientId),
    publicKey: csr.publicKey,
    serialNumber: serialFrom(random),
    ...validity(authority, now, clientDays),
    usage: x509.ExtendedKeyUsage.clientAuth,
    more: [],
  });
  return issuedFrom(pem);
}

/** A certificate for a person's browser, with a new ECDSA P-256 key. The unit in its name keeps it apart from clients'. */
export async function issueAdminIdentity(
  authority: Identity,
  name: string,
  now: number,
  random: RandomBytes,
): Promise<Identity> {
  const keys = await newKeys();
  const certificate = await issue(authority, {
    subject: [{ CN: [name] }, { OU: ['admin'] }],
    publicKey: keys.publicKey,
    serialNumber: serialFrom(random),
    ...validity(authority, now, adminDays),
    usage: x509.ExtendedKeyUsage.clientAuth,
    more: [],
  });
  return { certificate, privateKey: await pkcs8(keys.privateKey) };
}

/** One line of a revocation list. */
export interface Revocation {
  /** Hex. */
  readonly serial: string;
  readonly at: number;
  /** RFC 5280, section 5.3.1: another certificate took its place, or it must not be trusted. */
  readonly reason: 'superseded' | 'unspecified';
}

/** The authority's list of revoked certificates (RFC 5280, section 5), good for a week. */
export async function signRevocationList(
  authority: Identity,
  revocations: readonly Revocation[],
  now: number,
): Promise<{ pem: string; der: Buffer }> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: new Date(now - (now % 1000)),
    nextUpdate: new Date(now - (now % 1000) + listDays * day),
    signingAlgorithm: ecdsa,
    signingKey: await signingKeyOf(authority),
    entries: revocations.map(({ serial, at, reason }) => ({
      serialNumber: serial.toLowerCase(),
      revocationDate: new Date(at),
      reason: x509.X509CrlReason[reason],
    })),
    extensions: [await x509.AuthorityKeyIdentifierExtension.create(issuer), listNumber(now)],
  });
  const der = Buffer.from(list.rawData);
  // RFC 7468, section 6; the library's own label is not the one other programs look for
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return { pem: `-----BEGIN X509 CRL-----\n${lines}\n-----END X509 CRL-----\n`, der };
}

/** RFC 5280, section 5.2.3: a number that grows with each list; the time does. */
function listNumber(now: number): x509.Extension {
  const digits = Math.floor(now / 1000).toString(16);
  const bytes = Buffer.from(`00${digits.length % 2 === 0 ? '' : '0'}${digits}`, 'hex');
  const value = (bytes[1] ?? 0) < 0x80 ? bytes.subarray(1) : bytes; // DER: no needless leading zero
  return new x509.Extension('2.5.29.20', false, Buffer.concat([Buffer.from([0x02, value.length]), value]));
}

interface Order {
  readonly subject: x509.JsonName;
  readonly publicKey: webcrypto.CryptoKey | x509.PublicKey;
  readonly serialNumber: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly usage: x509.ExtendedKeyUsage;
  readonly more: readonly x509.Extension[];
}

async function issue(authority: Identity, order: Order): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const { usage, more, ...rest } = order;
  const certificate = await x509.X509CertificateGenerator.create({
    ...rest,
    issuer: issuer.subjectName,
    signingKey: await signingKeyOf(authority),
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(order.publicKey),
      ...more,
    ],
  });
  return pemOf(certificate);
}

function parseRequest(request: string): x509.Pkcs10CertificateRequest {
  const shape =
    /^-----BEGIN (NEW )?CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END (NEW )?CERTIFICATE REQUEST-----\s*$/;
  if (request.length > largestRequest || !shape.test(request)) throw refused('must be one PEM certificate request');
  try {
    return new x509.Pkcs10CertificateRequest(request);
  } catch (cause) {
    throw refused('must be one PEM certificate request', cause);
  }
}

/** Judged by Node's own parser, which knows the key's real size, not by the algorithm's name in the request. */
function isStrongKey(publicKey: x509.PublicKey): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey.rawData), format: 'der', type: 'spki' });
    const details = key.asymmetricKeyDetails;
    if (key.asymmetricKeyType === 'ed25519') return true;
    if (key.asymmetricKeyType === 'ec') return ['prime256v1', 'secp384r1'].includes(details?.namedCurve ?? '');
    const bits = details?.modulusLength ?? 0;
    return key.asymmetricKeyType === 'rsa' && bits >= 2048 && bits <= 8192;
  } catch {
    return false;
  }
}

function refused(words: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('csr_refused', `"csr" ${words}`, { status: 400, exit: 1, field: 'csr', cause });
}

/** No certificate outlives the authority that signed it. */
function validity(authority: Identity, now: number, days: number): { notBefore: Date; notAfter: Date } {
  const end = Math.min(now + days * day, certificateEnd(authority.certificate));
  return { notBefore: new Date(now - backdate), notAfter: new Date(end) };
}

function signingKeyOf(authority: Identity): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', authority.privateKey, ecdsa, false, ['sign']);
}
