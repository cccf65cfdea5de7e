import forge from 'node-forge';
import type { RandomBytes } from '../../platform/clock.ts';
import type { Identity } from '../../platform/listening/identity.ts';

const { asn1, pki } = forge;

/** As OpenSSL 3 and browsers make them: PBES2 with PBKDF2 and AES-256 for the key, an HMAC over everything. */
const rounds = 100_000;
const saltBytes = 16;

const oid = {
  data: '1.2.840.113549.1.7.1',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  keyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

/**
 * A PKCS#12 file (RFC 7292) of a certificate, its key and the authorities above it, under a password. The library's own
 * way to make one takes RSA keys only; here keys and certificates go in as the DER they are.
 */
export function pkcs12(
  identity: Identity,
  authorities: readonly string[],
  name: string,
  password: string,
  random: RandomBytes,
): Buffer {
  const own = derOf(identity.certificate);
  const keyId = forge.md.sha1.create().update(own).digest().getBytes();
  const certificates = [
    certificateBag(own, attributes(name, keyId)),
    ...authorities.flatMap((pem) => certificatesIn(pem)).map((der) => certificateBag(der, [])),
  ];
  const contents = [safe(certificates), safe([keyBag(identity.privateKey, password, attributes(name, keyId))])];
  const inner = asn1.toDer(sequence(contents.map(content))).getBytes();
  const salt = bytes(random(saltBytes));
  const file = sequence([integer(3), content(inner), macData(inner, password, salt)]);
  return Buffer.from(asn1.toDer(file).getBytes(), 'binary');
}

type Node = forge.asn1.Asn1;

function keyBag(pkcs8: Buffer, password: string, attached: readonly Node[]): Node {
  const info = asn1.fromDer(forge.util.createBuffer(bytes(pkcs8)));
  const locked = pki.encryptPrivateKeyInfo(info, password, {
    algorithm: 'aes256',
    count: rounds,
    saltSize: saltBytes,
    prfAlgorithm: 'sha256',
  });
  return bag(oid.keyBag, locked, attached);
}

function certificateBag(der: string, attached: readonly Node[]): Node {
  const value = sequence([identifier(oid.x509Certificate), tagged(octets(der))]);
  return bag(oid.certificateBag, value, attached);
}

function bag(kind: string, value: Node, attached: readonly Node[]): Node {
  return sequence([identifier(kind), tagged(value), ...(attached.length === 0 ? [] : [set(attached)])]);
}

function attributes(name: string, keyId: string): Node[] {
  return [
    sequence([identifier(oid.localKeyId), set([octets(keyId)])]),
    sequence([identifier(oid.friendlyName), set([primitive(asn1.Type.BMPSTRING, name)])]),
  ];
}

/** Appendix B of RFC 7292: a key derived for integrity (3), and the HMAC of the authenticated safe under it. */
function macData(inner: string, password: string, salt: string): Node {
  const digest = forge.md.sha256.create();
  const length = digest.digestLength;
  // the types of this library forget the last parameter
  const derive = forge.pkcs12.generateKey as unknown as (...input: unknown[]) => forge.util.ByteStringBuffer;
  const key = derive(password, forge.util.createBuffer(salt), 3, rounds, length, digest);
  const mac = forge.hmac.create();
  mac.start(forge.md.sha256.create(), key);
  mac.update(inner);
  const algorithm = sequence([identifier(oid.sha256), primitive(asn1.Type.NULL, '')]);
  return sequence([
    sequence([algorithm, octets(mac.getMac().getBytes())]),
    octets(salt),
    primitive(asn1.Type.INTEGER, asn1.integerToDer(rounds).getBytes()),
  ]);
}

/** The DER of a list of bags. */
function safe(bags: readonly Node[]): string {
  return asn1.toDer(sequence(bags)).getBytes();
}

function content(der: string): Node {
  return sequence([identifier(oid.data), tagged(octets(der))]);
}

function derOf(pem: string): string {
  return certificatesIn(pem)[0] ?? '';
}

function certificatesIn(pem: string): string[] {
  return forge.pem.decode(pem).map((block) => block.body);
}

function bytes(buffer: Uint8Array): string {
  return Buffer.from(buffer).toString('binary');
}

function primitive(type: forge.asn1.Type, value: string): Node {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, value);
}

function sequence(parts: readonly Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, [...parts]);
}

function set(parts: readonly Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [...parts]);
}

function octets(value: string): Node {
  return primitive(asn1.Type.OCTETSTRING, value);
}

function integer(value: number): Node {
  return primitive(asn1.Type.INTEGER, asn1.integerToDer(value).getBytes());
}

function identifier(value: string): Node {
  return primitive(asn1.Type.OID, asn1.oidToDer(value).getBytes());
}

/** `[0] EXPLICIT`. */
function tagged(value: Node): Node {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [value]);
}
