import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { sha256 } from '../encoding.ts';

/** A certificate (PEM) and its private key (PKCS#8 DER). */
export interface Identity {
  readonly certificate: string;
  readonly privateKey: Buffer;
}

/** The PEM form of a PKCS#8 key, for a TLS server. */
export function privateKeyPem(privateKey: Buffer): string {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** True when the private key (PKCS#8 DER) is the certificate's own. */
export function isKeyOf(certificate: string, privateKey: Buffer): boolean {
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  return new X509Certificate(certificate).checkPrivateKey(key);
}

/** When a certificate ends, milliseconds since 1970. */
export function certificateEnd(certificate: string): number {
  return new X509Certificate(certificate).validToDate.getTime();
}

/** The names and addresses a server's certificate is for. */
export function hostsIn(certificate: string): string[] {
  const names = new X509Certificate(certificate).subjectAltName ?? '';
  const hosts = [...names.matchAll(/(?:^|, )(?:DNS|IP Address):([0-9A-Za-z.:-]+)/g)].map((match) => match[1] ?? '');
  return hosts.map((host) => (isIP(host) === 0 ? host : ipaddr.parse(host).toString()));
}

/** What curl's `--pinnedpubkey` knows a server by: SHA-256 of its public key (SPKI). It stays when a certificate is renewed with the same key. */
export function pinOf(key: KeyObject): string {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  return `sha256//${sha256(half.export({ format: 'der', type: 'spki' })).toString('base64')}`;
}
