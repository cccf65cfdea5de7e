import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { sha256 } from '../../platform/encoding.ts';
import type { Authorities } from './authorities.ts';

/** Extended key usage of a client (RFC 5280, section 4.2.1.12). */
const clientAuthentication = '1.3.6.1.5.5.7.3.2';

/**
 * A certificate whose key the peer of a connection holds: TLS has seen to that, and to nothing else. Times are
 * milliseconds since 1970, both ends within.
 */
export interface ShownCertificate {
  /** Upper-case hex. */
  readonly serial: string;
  /** As OpenSSL writes a name, one part a line: `CN=lk-…`. */
  readonly subject: string;
  /** SHA-256 of the DER form. */
  readonly digest: Buffer;
  readonly notBefore: number;
  readonly notAfter: number;
  /** It says that it is a client's and no authority's. */
  readonly forClients: boolean;
  /** Serial of the authority of ours that signed it, `null` when none did. */
  readonly authority: string | null;
}

const read: WeakMap<Socket, Promise<ShownCertificate | null>> = new WeakMap();

/**
 * What the peer of a connection showed, `null` without TLS or without a certificate. Read once per connection. On a
 * resumed TLS session it is the certificate of the handshake the session began with, which the ticket carries along:
 * whether it still holds is for each request to ask.
 */
export function shownOn(socket: Socket, authorities: Authorities): Promise<ShownCertificate | null> {
  let shown = read.get(socket);
  if (shown === undefined) {
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    shown = certificate === undefined ? nothing : describe(certificate, authorities);
    read.set(socket, shown);
    // what could not be looked up is looked up anew with the next request
    shown.catch(() => read.delete(socket));
  }
  return shown;
}

const nothing = Promise.resolve(null);

async function describe(certificate: X509Certificate, authorities: Authorities): Promise<ShownCertificate> {
  const usage: readonly string[] = certificate.keyUsage ?? [];
  return {
    serial: certificate.serialNumber,
    subject: certificate.subject,
    digest: sha256(certificate.raw),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    forClients: !certificate.ca && usage.includes(clientAuthentication),
    authority: await authorities.issuerOf(certificate),
  };
}
