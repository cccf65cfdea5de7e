import './reflect-metadata.ts';
import * as x509 from '@peculiar/x509';
import type { RandomBytes } from '../clock.ts';
import type { Identity } from '../listening/identity.ts';
import { alternativeNames, backdate, pemOf, serialFrom, serverUses, subject } from './certificate-parts.ts';
import { ecdsa, keysOf, newKeys, pkcs8 } from './ecdsa-key.ts';

const day = 86_400_000;

export interface SelfSignedOrder {
  /** Names and IP addresses of the server, the first of them the one it is called by. */
  readonly hosts: readonly string[];
  /** How long it is good from `now` on. */
  readonly days: number;
  readonly now: number;
  /** PKCS#8 DER of a P-256 key that goes on; `null` makes a new one. */
  readonly privateKey: Buffer | null;
}

/** A server's certificate that nobody vouches for but its own key, ECDSA P-256: for clients that know the key. */
export async function selfSigned(order: SelfSignedOrder, random: RandomBytes): Promise<Identity> {
  const { hosts, days, now, privateKey } = order;
  const keys = privateKey === null ? await newKeys() : await keysOf(privateKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialFrom(random),
    name: subject((hosts[0] ?? '').slice(0, 64)), // RFC 5280, appendix A.1: ub-common-name
    notBefore: new Date(now - backdate),
    notAfter: new Date(now + days * day),
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      ...serverUses(),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      alternativeNames(hosts),
    ],
  });
  return { certificate: pemOf(certificate), privateKey: privateKey ?? (await pkcs8(keys.privateKey)) };
}
