import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { sha256 } from '../../platform/encoding.ts';

/** A certificate with what the server notes of it; times are milliseconds since 1970. */
export interface IssuedCertificate {
  readonly pem: string;
  /** Upper-case hex. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of the DER form. */
  readonly digest: Buffer;
}

/** What a certificate says of itself. */
export function issuedFrom(pem: string): IssuedCertificate {
  const { serialNumber, validFromDate, validToDate, raw } = new X509Certificate(pem);
  return {
    pem,
    serial: serialNumber,
    notBefore: validFromDate.getTime(),
    notAfter: validToDate.getTime(),
    digest: sha256(raw),
  };
}

/** When a certificate ends, milliseconds since 1970. */
export function certificateEnd(certificate: string): number {
  return new X509Certificate(certificate).validToDate.getTime();
}

/** True when the certificate was signed by this authority and names every host. */
export function isServerCertificateFor(certificate: string, authority: string, hosts: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate);
  const named = hosts.every((host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined);
  return named && isIssuedBy(leaf, new X509Certificate(authority));
}

/** The names and addresses a server's certificate is for. */
export function hostsIn(certificate: string): string[] {
  const names = new X509Certificate(certificate).subjectAltName ?? '';
  const hosts = [...names.matchAll(/(?:^|, )(?:DNS|IP Address):([0-9A-Za-z.:-]+)/g)].map((match) => match[1] ?? '');
  return hosts.map((host) => (isIP(host) === 0 ? host : ipaddr.parse(host).toString()));
}

/** True when `issuer` is an authority and signed `leaf`: names, key identifiers and the signature itself. */
export function isIssuedBy(leaf: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
}

/** True when the private key (PKCS#8 DER) is the certificate's own. */
export function isKeyOf(certificate: string, privateKey: Buffer): boolean {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return new X509Certificate(certificate).checkPrivateKey(key);
}
