import { createPrivateKey } from 'node:crypto';

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
