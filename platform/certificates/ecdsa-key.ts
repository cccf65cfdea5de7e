import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';

/** What every certificate of ours is signed with: ECDSA over P-256 with SHA-256. */
export const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

/** The pair of a private key (PKCS#8 DER). */
export async function keysOf(privateKey: Buffer): Promise<webcrypto.CryptoKeyPair> {
  const half = createPublicKey(createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' }));
  const spki = half.export({ format: 'der', type: 'spki' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', privateKey, ecdsa, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, ecdsa, true, ['verify']),
  };
}

/** PKCS#8 DER. */
export async function pkcs8(key: webcrypto.CryptoKey): Promise<Buffer> {
  return Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
}
