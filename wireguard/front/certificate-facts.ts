import { X509Certificate } from 'node:crypto';
import { hostsIn, pinOf } from '../../platform/listening/identity.ts';

/** What there is to know of a certificate; times are milliseconds since 1970. */
export interface CertificateFacts {
  /** Names and addresses that it is for. */
  readonly hosts: readonly string[];
  readonly from: number;
  readonly until: number;
  /** SHA-256 of the certificate as OpenSSL writes it: `AB:CD:…`. */
  readonly sha256: string;
  /** SHA-256 of its public key as curl takes it (`--pinnedpubkey`): `sha256//…`. */
  readonly pin: string;
}

/** Of a chain (PEM) the first is the server's. */
export function certificateFacts(pem: string): CertificateFacts {
  const { validFromDate, validToDate, fingerprint256, publicKey } = new X509Certificate(pem);
  return {
    hosts: hostsIn(pem),
    from: validFromDate.getTime(),
    until: validToDate.getTime(),
    sha256: fingerprint256,
    pin: pinOf(publicKey),
  };
}
