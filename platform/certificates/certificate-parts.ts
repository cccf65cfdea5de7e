import './reflect-metadata.ts';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { RandomBytes } from '../clock.ts';

x509.cryptoProvider.set(webcrypto);

/** Certificates count from a little before now, so that a client whose clock is behind accepts them. */
export const backdate = 3_600_000;

export function subject(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

/** 16 random bytes, positive and never zero (RFC 5280, section 4.1.2.2). */
export function serialFrom(random: RandomBytes): string {
  const bytes = random(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** Names and IP addresses that a server is reached by. */
export function alternativeNames(hosts: readonly string[]): x509.SubjectAlternativeNameExtension {
  const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const), value: host }));
  return new x509.SubjectAlternativeNameExtension(names);
}

/** What a certificate of a server says that it is for. */
export function serverUses(): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
  ];
}

export function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
