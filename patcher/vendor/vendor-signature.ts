import { createHash } from 'node:crypto';
import forge from 'node-forge';
import * as z from 'zod';
import { constantTimeEqual, decodeBase64 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';

/**
 * Nextcloud's code signing authorities, SHA-256 over the certificate. They are pinned here because the server's own
 * check believes whatever `resources/codesigning/root.crt` lies on the disk that is being checked.
 */
export const vendorAuthorities = {
  root: 'fb418711e0cd2cae9be332cd61a1538214f55448b40170313f1c08b092ffcbfd',
  intermediate: 'ff038235477d48db67da20962958f7f9f0739b3c568af49b7c6daa0d9d410ea0',
} as const;

/** What the vendor says a folder holds: path below the folder → SHA-512 in hex. */
export interface SignedList {
  readonly hashes: ReadonlyMap<string, string>;
  /** Common name of the signing certificate: `core` or an app id. */
  readonly signer: string;
  /** Serial number of that certificate, in hex. */
  readonly serial: string;
}

const hash = z.string().regex(/^[0-9a-f]{128}$/, 'must be 128 hex digits');
const listSchema = z.strictObject({
  hashes: z.record(z.string().min(1).max(1024), hash),
  signature: z.string().max(4096),
  certificate: z.string().max(16_384),
});

function refuse(words: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('vendor_signature_invalid', words, { exit: 3, cause });
}

function fingerprint(certificate: forge.pki.Certificate): string {
  const der = forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes();
  return createHash('sha256').update(der, 'latin1').digest('hex');
}

function readCertificate(pem: string, name: string): forge.pki.Certificate {
  try {
    return forge.pki.certificateFromPem(pem);
  } catch (cause) {
    throw refuse(`${name} is not a certificate`, cause);
  }
}

/** Both authorities out of `resources/codesigning/root.crt`, by their pinned fingerprints; others in it are ignored. */
function readAuthorities(rootCrt: string): { root: forge.pki.Certificate; intermediate: forge.pki.Certificate } {
  const blocks = rootCrt.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  const found = blocks.map((block) => readCertificate(block, '"root.crt"'));
  const root = found.find((one) => fingerprint(one) === vendorAuthorities.root);
  const intermediate = found.find((one) => fingerprint(one) === vendorAuthorities.intermediate);
  if (root === undefined || intermediate === undefined) {
    throw refuse('"root.crt" does not hold the code signing authorities of the vendor');
  }
  return { root, intermediate };
}

/** Who signs the vendor's list of revoked certificates: public key, PEM, and name, DER. */
export function vendorIntermediate(rootCrt: string): { readonly key: string; readonly subject: Buffer } {
  const { intermediate } = readAuthorities(rootCrt);
  const name = forge.asn1.toDer(forge.pki.distinguishedNameToAsn1(intermediate.subject)).getBytes();
  return { key: forge.pki.publicKeyToPem(intermediate.publicKey), subject: Buffer.from(name, 'latin1') };
}

function assertIssued(by: forge.pki.Certificate, certificate: forge.pki.Certificate, name: string, now: Date): void {
  let signed = false;
  try {
    signed = by.verify(certificate);
  } catch (cause) {
    throw refuse(`${name} was not issued by the vendor`, cause);
  }
  if (!signed) throw refuse(`${name} was not issued by the vendor`);
  const { notBefore, notAfter } = certificate.validity;
  if (now < notBefore || now > notAfter) throw refuse(`${name} is not valid at this time`);
}

/** PHP's `json_encode` with its default flags, of a map sorted by key: `/` is escaped, and so is all that is not ASCII. */
function encodeLikePhp(hashes: ReadonlyMap<string, string>): string {
  const quote = (text: string): string =>
    JSON.stringify(text)
      .replaceAll('/', '\\/')
      .replace(/[\u007f-\uffff]/g, (unit) =>
        unit === '\u007f' ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
  const sorted = [...hashes].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${sorted.map(([path, value]) => `${quote(path)}:${quote(value)}`).join(',')}}`;
}

/**
 * RSASSA-PSS as phpseclib 2 makes it: SHA-1 over the message, MGF1 with SHA-512, no salt (RFC 8017, section 9.1). Without
 * salt the encoding is the same each time, so it is made here and compared; node-forge's own comparison takes a salt of
 * length 0 for one of full length.
 */
function assertSigned(message: string, signature: Buffer, signer: forge.pki.Certificate): void {
  const refusal = 'the list of files does not carry the signature of the vendor';
  const scheme = forge.pss.create({
    md: forge.md.sha1.create(),
    mgf: forge.mgf.mgf1.create(forge.md.sha512.create()),
    saltLength: 0,
  });
  let signed: Buffer;
  let encoded: Buffer;
  try {
    const key = signer.publicKey as forge.pki.rsa.PublicKey;
    const modulusBits = key.n.bitLength();
    if (modulusBits < 2048 || signature.length !== Math.ceil(modulusBits / 8)) throw refuse(refusal);
    signed = Buffer.from(key.encrypt(signature.toString('latin1'), 'RAW'), 'latin1');
    encoded = Buffer.from(scheme.encode(forge.md.sha1.create().update(message, 'utf8'), modulusBits), 'latin1');
  } catch (cause) {
    throw refuse(refusal, cause);
  }
  if (!constantTimeEqual(signed, encoded)) throw refuse(refusal);
}

/**
 * Reads a `signature.json` and answers only what the vendor really signed; throws `vendor_signature_invalid` (exit 3).
 * `id` is `core` or the app's id: a list is good for it when its certificate names it, or names `core`, as the vendor's
 * own check has it. A signature names no version: a validly signed older list passes here, so compare `version.php`.
 */
export function readSignedList(
  signatureJson: string,
  options: { readonly id: string; readonly rootCrt: string; readonly now: Date },
): SignedList {
  let value: unknown;
  try {
    value = JSON.parse(signatureJson);
  } catch (cause) {
    throw refuse('"signature.json" is not JSON', cause);
  }
  const parsed = listSchema.safeParse(value, { reportInput: false });
  if (!parsed.success) throw refuse('"signature.json" does not have the form of a signed list');
  const signature = decodeBase64(parsed.data.signature.replace(/\r?\n/g, ''), { max: 1024 });
  if (signature === null) throw refuse('"signature" must be base64');

  const { root, intermediate } = readAuthorities(options.rootCrt);
  const certificate = readCertificate(parsed.data.certificate, '"certificate"');
  assertIssued(root, intermediate, 'the intermediate authority', options.now);
  assertIssued(intermediate, certificate, '"certificate"', options.now);
  const name: unknown = certificate.subject.getField('CN')?.value;
  if (typeof name !== 'string' || (name !== options.id && name !== 'core')) {
    throw refuse(`"certificate" is not for "${options.id}"`);
  }
  const hashes = new Map(Object.entries(parsed.data.hashes));
  assertSigned(encodeLikePhp(hashes), signature, certificate);
  return { hashes, signer: name, serial: certificate.serialNumber };
}
