import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import forge from 'node-forge';
import { describe, expect, it } from 'vitest';
import { readRevocations } from '../../patcher/vendor/vendor-revocations.ts';
import { readSignedList } from '../../patcher/vendor/vendor-signature.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';

const trees = listTrees();
const tree = trees.at(-1) as NextcloudTree;
const read = (of: NextcloudTree, name: string): string =>
  readFileSync(join(of.folder, 'resources/codesigning', name), 'utf8');

function refusal(pem: string, rootCrt = read(tree, 'root.crt')): string {
  try {
    readRevocations(pem, { rootCrt });
  } catch (error) {
    expect(error).toMatchObject({ code: 'vendor_signature_invalid', exit: 3 });
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

/** The list with some of its bytes replaced, found by their hex. */
function altered(from: string, to: string): string {
  const body = read(tree, 'root.crl').replace(/-----[^-]+-----|\s/g, '');
  const hex = Buffer.from(body, 'base64').toString('hex');
  const changed = Buffer.from(hex.replace(from, to), 'hex').toString('base64');
  expect(changed).not.toBe(body);
  return `-----BEGIN X509 CRL-----\n${changed}\n-----END X509 CRL-----\n`;
}

describe.skipIf(trees.length === 0)('readRevocations()', () => {
  it('refuses a list from which one certificate was taken, or whose number was raised', () => {
    expect(refusal(altered('02021002', '02022002'))).toContain('signature');
    expect(refusal(altered('0603551d1404040202105a', '0603551d140404020210ff'))).toContain('signature');
  });

  it('refuses what is no list, is cut short, or has more behind it', () => {
    const pem = read(tree, 'root.crl');
    for (const text of ['', 'x', pem.slice(0, 400), `${pem}${pem}`, read(tree, 'root.crt'), altered('3082', '3081')]) {
      expect(refusal(text)).toContain('root.crl');
    }
  });

  it('refuses a list under authorities that are not the pinned ones', () => {
    const keys = forge.pki.rsa.generateKeyPair(2048);
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = keys.publicKey;
    certificate.sign(keys.privateKey, forge.md.sha256.create());
    const own = forge.pki.certificateToPem(certificate);
    expect(refusal(read(tree, 'root.crl'), own)).toContain('authorities of the vendor');
  });

  it('reads the lists of releases, each newer than the one before', () => {
    const lists = trees.map((each) => readRevocations(read(each, 'root.crl'), { rootCrt: read(each, 'root.crt') }));
    expect(lists.map(({ number }) => number)).toEqual(lists.map(({ number }) => number).sort((a, b) => a - b));
    for (const { revoked, madeAt } of lists) {
      expect(revoked.size).toBeGreaterThan(80);
      expect(revoked.get('1002')?.toISOString()).toBe('2021-04-19T09:52:45.000Z');
      expect(madeAt.getTime()).toBeGreaterThan(Math.max(...[...revoked.values()].map(Number)) - 1);
    }
  });

  it('calls certificates as the lists of files do', () => {
    const text = readFileSync(join(tree.folder, 'core/signature.json'), 'utf8');
    const rootCrt = read(tree, 'root.crt');
    const { serial } = readSignedList(text, { id: 'core', rootCrt, now: new Date('2026-11-20T12:00:00Z') });
    expect(serial).toBe('1000');
    expect(readRevocations(read(tree, 'root.crl'), { rootCrt }).revoked.has(serial)).toBe(false);
  });
});
