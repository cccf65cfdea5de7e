import {
  createCipheriv,
  createHash,
  createHmac,
  generateKeyPairSync,
  hkdfSync,
  pbkdf2Sync,
  randomBytes,
} from 'node:crypto';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { keyNeedles, needlesOf } from './key-needles.ts';
import { searchBytes, type Thief } from './key-search.ts';
import { NeedleIndex } from './needle-index.ts';

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const der = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
const instance = { secret: randomBytes(24).toString('base64'), instanceId: 'ocabcdefghij' };
const uid = 'master_0123abcd';
const cookie = randomBytes(64).toString('hex');

const thief: Thief = {
  needles: new NeedleIndex(keyNeedles('the key', pem)),
  passwords: [instance.secret, cookie],
  instances: [instance],
  uids: [uid, ''],
};

function finds(bytes: Buffer | string): boolean {
  return searchBytes(Buffer.from(bytes as string), thief).length > 0;
}

function seal(plain: string, format: 'hash2' | 'password'): Buffer {
  const salt = createHash('sha256').update(`${uid}${instance.instanceId}${instance.secret}`).digest();
  const key =
    format === 'hash2' ? pbkdf2Sync(instance.secret, salt, 600_000, 32, 'sha256') : Buffer.from(instance.secret);
  const iv = randomBytes(16);
  const fit = Buffer.alloc(32);
  key.copy(fit);
  const cipher = createCipheriv('aes-256-ctr', fit, iv);
  const content = Buffer.concat([cipher.update(plain), cipher.final()]);
  const macKey = createHash('sha512')
    .update(Buffer.concat([key, Buffer.from('_0_0a')]))
    .digest();
  const mac = createHmac('sha256', macKey).update(content).digest('hex');
  const head = `HBEGIN:cipher:AES-256-CTR:keyFormat:${format}:encoding:binary:HEND`;
  return Buffer.concat([Buffer.from(head), content, Buffer.from('00iv00'), iv, Buffer.from(`00sig00${mac}xxx`)]);
}

function sealText(plain: string, password: string): string {
  const material = Buffer.from(hkdfSync('sha512', password, '', '', 64));
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-128-cbc', pbkdf2Sync(material.subarray(0, 32), 'phpseclib', 1000, 16, 'sha1'), iv);
  const content = Buffer.concat([cipher.update(plain), cipher.final()]).toString('hex');
  const macKey = createHash('sha512').update(material.subarray(32)).update('a').digest('hex');
  const mac = createHmac('sha512', macKey)
    .update(content + iv.toString('hex'))
    .digest('hex');
  return `${content}|${iv.toString('hex')}|${mac}|3`;
}

const around = (text: string): string => `a:1:{s:4:"some";s:3:"${text}";}`;
const pkcs1 = pair.privateKey.export({ format: 'der', type: 'pkcs1' });
const hidden: readonly (readonly [string, () => Buffer | string])[] = [
  ['a PEM', () => pem],
  ['a PEM in JSON', () => JSON.stringify({ args: [pem] })],
  ['a PEM in JSON in JSON', () => JSON.stringify({ trace: JSON.stringify({ args: [pem] }) })],
  ['a PEM in a URL', () => `/x?key=${encodeURIComponent(pem)}`],
  ['a PEM without line breaks', () => around(pem.replaceAll('\n', ''))],
  ['PKCS#1 text', () => pair.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString()],
  ['DER', () => Buffer.concat([randomBytes(77), der, randomBytes(77)])],
  ['half of the DER', () => der.subarray(der.length / 2)],
  ['base64, one byte before it', () => Buffer.concat([Buffer.from('x'), der]).toString('base64')],
  ['base64, two bytes before it', () => Buffer.concat([Buffer.from('xy'), der]).toString('base64')],
  ['base64 of the PEM', () => around(Buffer.from(pem).toString('base64'))],
  ['base64url', () => pkcs1.toString('base64url')],
  ['hex', () => around(der.toString('hex'))],
  ['HEX', () => der.toString('hex').toUpperCase()],
  ['hex with colons', () => der.toString('hex').replace(/..(?=.)/g, '$&:')],
  ['a JWK', () => JSON.stringify(pair.privateKey.export({ format: 'jwk' }))],
  ['gzip', () => Buffer.concat([randomBytes(9), gzipSync(around(pem))])],
  ['zlib of base64', () => deflateSync(Buffer.from(pem).toString('base64'))],
  ['base64 of gzip', () => gzipSync(`${randomBytes(300).toString('hex')}${pem}`).toString('base64')],
  ['the stored form', () => seal(pem, 'hash2')],
  [
    'the stored form in base64 in JSON',
    () => JSON.stringify({ key: seal(pem, 'hash2').toString('base64'), uid: null }),
  ],
  ['the form kept in RAM', () => `1 ${'0'.repeat(64)} 1 2 3 - ${seal(pem, 'password').toString('base64')}`],
  ['a key file', () => sealText(JSON.stringify({ key: seal(pem, 'hash2').toString('base64') }), instance.secret)],
  [
    'a session, gzipped',
    () => gzipSync(`encrypted_session_data|s:9:"${sealText(JSON.stringify({ privateKey: pem }), cookie)}";`),
  ],
];

describe('the search for a private key', () => {
  it.each(hidden)('finds it as %s', (_, hide) => {
    expect(finds(hide())).toBe(true);
  });

  it('finds nothing in what is public or random, or sealed under a password that nobody has', () => {
    expect(finds(pair.publicKey.export({ format: 'pem', type: 'spki' }).toString())).toBe(false);
    expect(finds(randomBytes(200_000))).toBe(false);
    expect(finds(randomBytes(200_000).toString('base64'))).toBe(false);
    expect(finds(sealText(JSON.stringify({ privateKey: pem }), 'another cookie'))).toBe(false);
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(finds(other.export({ format: 'pem', type: 'pkcs8' }).toString())).toBe(false);
  });

  it('finds short secrets, tokens and codes whole', () => {
    const token = randomBytes(32);
    const index = new NeedleIndex([...needlesOf('token', token), ...needlesOf('totp', randomBytes(20))]);
    const text = JSON.stringify({ token: token.toString('base64url') });
    expect(searchBytes(Buffer.from(text), { ...thief, needles: index }).map((hit) => hit.secret)).toContain('token');
  });
});
