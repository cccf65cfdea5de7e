import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
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

/** True when the certificate was signed by this authority and names every host. */
export function isServerCertificateFor(certificate: string, authority: string, hosts: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate);
  const named = hosts.every((host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined);
  return named && isIssuedBy(leaf, new X509Certificate(authority));
}

/** True when `issuer` is an authority and signed `leaf`: names, key identifiers and the signature itself. */
export function isIssuedBy(leaf: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
}
