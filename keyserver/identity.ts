import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate (PEM) and its private key (PKCS#8 DER). */
export interface Identity {
  readonly certificate: string;
  readonly privateKey: Buffer;
}

/** A certificate with what the server notes of it; times are milliseconds since 1970. */
export interface IssuedCertificate {
  readonly pem: string;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What a certificate says of itself. */
export function issuedFrom(pem: string): IssuedCertificate {
  const { serialNumber, validFromDate, validToDate } = new X509Certificate(pem);
  return { pem, serial: serialNumber, notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
}

/** When a certificate ends, milliseconds since 1970. */
export function certificateEnd(certificate: string): number {
  return new X509Certificate(certificate).validToDate.getTime();
}

/** True when the certificate was signed by this authority and names every host. */
export function isServerCertificateFor(certificate: string, authority: string, hosts: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate);
  const issuer = new X509Certificate(authority);
  const named = hosts.every((host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined);
  return named && leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
}

/** The PEM form of a PKCS#8 key, for a TLS server. */
export function privateKeyPem(privateKey: Buffer): string {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}
