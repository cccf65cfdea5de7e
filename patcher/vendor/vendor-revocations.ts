import { verify } from 'node:crypto';
import forge from 'node-forge';
import { decodeBase64 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { vendorIntermediate } from './vendor-signature.ts';

/** The certificates that the vendor took back. */
export interface Revocations {
  /** CRL number; the vendor counts upwards. */
  readonly number: number;
  /** When it was made. */
  readonly madeAt: Date;
  /** Serial number in hex, as `SignedList.serial` has it → when it was revoked. */
  readonly revoked: ReadonlyMap<string, Date>;
  readonly pem: string;
}

/** The vendor's has grown to 8 KiB in ten years. */
const MAX_BYTES = 1_048_576;
const SHA256_WITH_RSA = '1.2.840.113549.1.1.11';
const CRL_NUMBER = '2.5.29.20';

function refuse(words: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('vendor_signature_invalid', words, { exit: 3, cause });
}

/**
 * Reads `resources/codesigning/root.crl` (RFC 5280, section 5) and answers it only if the pinned intermediate authority
 * signed it; throws `vendor_signature_invalid` (exit 3). When it is due for renewal is not looked at: the vendor dates that
 * ten years ahead, and an old list still says which certificates are bad.
 */
export function readRevocations(pem: string, options: { readonly rootCrt: string }): Revocations {
  const body = /^-----BEGIN X509 CRL-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END X509 CRL-----\r?\n?$/.exec(pem)?.[1];
  const der = body === undefined ? null : decodeBase64(body.replace(/\r?\n/g, ''), { max: MAX_BYTES });
  if (der === null) throw refuse('"root.crl" is not a list of revoked certificates');
  const { tbs, algorithm, signature } = open(der);
  const { key, subject } = vendorIntermediate(options.rootCrt);
  if (algorithm !== SHA256_WITH_RSA || !verify('RSA-SHA256', tbs, key, signature)) {
    throw refuse('"root.crl" does not carry the signature of the vendor');
  }
  return { ...readBody(tbs, subject), pem };
}

type Node = forge.asn1.Asn1;

/** Nothing of it is believed before the signature is. */
function open(der: Buffer): { tbs: Buffer; algorithm: string; signature: Buffer } {
  try {
    const [tbs, algorithm, signature, ...more] = parts(read(der));
    if (tbs === undefined || algorithm === undefined || signature === undefined || more.length > 0) throw new Error();
    const bits = Buffer.from(String(signature.value), 'latin1');
    if (signature.type !== forge.asn1.Type.BITSTRING || bits[0] !== 0) throw new Error();
    return { tbs: encode(tbs), algorithm: oid(parts(algorithm)[0]), signature: bits.subarray(1) };
  } catch (cause) {
    throw refuse('"root.crl" is not a list of revoked certificates', cause);
  }
}

function readBody(tbs: Buffer, issuer: Buffer): { number: number; madeAt: Date; revoked: Map<string, Date> } {
  try {
    // version, algorithm, issuer, thisUpdate, nextUpdate, revoked, extensions
    const [, , name, made, ...rest] = parts(read(tbs));
    if (name === undefined || !encode(name).equals(issuer)) throw new Error();
    const lists = rest.filter(({ type, tagClass }) => tagClass === UNIVERSAL && type === forge.asn1.Type.SEQUENCE);
    const revoked = lists.flatMap(parts).map((entry): [string, Date] => {
      const [serial, at] = parts(entry);
      return [hex(serial), time(at)];
    });
    const extensions = rest.filter(({ tagClass }) => tagClass !== UNIVERSAL).flatMap(parts);
    const numbered = extensions.flatMap(parts).find((one) => oid(parts(one)[0]) === CRL_NUMBER);
    const number = Number.parseInt(hex(read(Buffer.from(String(parts(numbered).at(-1)?.value), 'latin1'))), 16);
    if (!Number.isSafeInteger(number)) throw new Error();
    return { number, madeAt: time(made), revoked: new Map(revoked) };
  } catch (cause) {
    throw refuse('"root.crl" does not have the form of a list of revoked certificates', cause);
  }
}

const UNIVERSAL = forge.asn1.Class.UNIVERSAL;

function read(der: Buffer): Node {
  return forge.asn1.fromDer(der.toString('latin1'));
}

function encode(node: Node): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1');
}

function parts(node: Node | undefined): Node[] {
  if (node === undefined || !Array.isArray(node.value)) throw new Error('not a sequence');
  return node.value;
}

function oid(node: Node | undefined): string {
  if (node?.type !== forge.asn1.Type.OID) throw new Error('not an object identifier');
  return forge.asn1.derToOid(String(node.value));
}

function hex(node: Node | undefined): string {
  if (node?.type !== forge.asn1.Type.INTEGER) throw new Error('not an integer');
  return Buffer.from(String(node.value), 'latin1').toString('hex');
}

function time(node: Node | undefined): Date {
  const text = String(node?.value);
  return node?.type === forge.asn1.Type.UTCTIME
    ? forge.asn1.utcTimeToDate(text)
    : forge.asn1.generalizedTimeToDate(text);
}
