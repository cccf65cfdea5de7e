import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import forge from 'node-forge';
import { afterEach, describe, expect, it } from 'vitest';
import { readSignedList, vendorAuthorities } from '../../patcher/vendor/vendor-signature.ts';
import { assertUnchanged, compareTree } from '../../patcher/vendor/vendor-tree.ts';
import { listTrees, type NextcloudTree } from '../harness/nextcloud-tree.ts';

const now = new Date('2026-11-20T12:00:00Z');
const trees = listTrees();
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function read(tree: NextcloudTree, path: string): string {
  return readFileSync(join(tree.folder, path), 'utf8');
}

function rootCrt(tree: NextcloudTree): string {
  return read(tree, 'resources/codesigning/root.crt');
}

function refusal(
  json: string,
  tree: NextcloudTree,
  options: { id?: string; rootCrt?: string; now?: Date } = {},
): string {
  try {
    readSignedList(json, { id: 'core', rootCrt: rootCrt(tree), now, ...options });
  } catch (error) {
    expect(error).toMatchObject({ code: 'vendor_signature_invalid', exit: 3 });
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

function signedBy(
  issuerKey: forge.pki.rsa.PrivateKey,
  issuerName: string,
  own: forge.pki.rsa.KeyPair,
  name: string,
): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = own.publicKey;
  certificate.serialNumber = '1000';
  certificate.validity.notBefore = new Date('2016-01-01T00:00:00Z');
  certificate.validity.notAfter = new Date('2041-01-01T00:00:00Z');
  certificate.setSubject([{ name: 'commonName', value: name }]);
  certificate.setIssuer([{ name: 'commonName', value: issuerName }]);
  certificate.sign(issuerKey, forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate);
}

function sign(message: string, key: forge.pki.rsa.PrivateKey): string {
  const salt = forge.util.createBuffer();
  const scheme = forge.pss.create({
    md: forge.md.sha1.create(),
    mgf: forge.mgf.mgf1.create(forge.md.sha512.create()),
    salt,
  } as forge.pss.PSS & Parameters<typeof forge.pss.create>[0]);
  return forge.util.encode64(key.sign(forge.md.sha1.create().update(message, 'utf8'), scheme));
}

describe.skipIf(trees.length === 0)('readSignedList() on real releases', () => {
  const tree = trees[0] as NextcloudTree;

  it('refuses a list in which one hash was changed', () => {
    const list = JSON.parse(read(tree, 'core/signature.json'));
    list.hashes.occ = list.hashes.occ.replace(/^./, (digit: string) => (digit === '0' ? '1' : '0'));
    expect(refusal(JSON.stringify(list), tree)).toContain('does not carry the signature');
  });

  it('refuses a list in which one file was added, renamed or left out', () => {
    const text = read(tree, 'core/signature.json');
    const { occ, ...others } = JSON.parse(text).hashes as Record<string, string>;
    for (const hashes of [{ occ, ...others, 'lib/extra.php': occ }, others, { occ2: occ, ...others }]) {
      const list = { ...JSON.parse(text), hashes };
      expect(refusal(JSON.stringify(list), tree)).toContain('does not carry the signature');
    }
  });

  it('refuses a signature with one bit turned, cut short, or not in canonical base64', () => {
    const list = JSON.parse(read(tree, 'core/signature.json'));
    const bytes = Buffer.from(list.signature, 'base64');
    bytes[7] = (bytes[7] ?? 0) ^ 1;
    expect(refusal(JSON.stringify({ ...list, signature: bytes.toString('base64') }), tree)).toContain('signature');
    expect(refusal(JSON.stringify({ ...list, signature: bytes.subarray(1).toString('base64') }), tree)).toContain(
      'signature',
    );
    expect(refusal(JSON.stringify({ ...list, signature: `${list.signature.slice(0, -2)}*=` }), tree)).toContain(
      'base64',
    );
  });

  it('refuses a certificate that the pinned authorities did not issue, whatever its names say', () => {
    const list = JSON.parse(read(tree, 'core/signature.json'));
    const [authority, own] = [forge.pki.rsa.generateKeyPair(2048), forge.pki.rsa.generateKeyPair(2048)];
    const certificate = signedBy(authority.privateKey, 'Nextcloud Code Signing Intermediate Authority', own, 'core');
    const signature = sign(JSON.stringify(list.hashes).replaceAll('/', '\\/'), own.privateKey);
    expect(refusal(JSON.stringify({ ...list, certificate, signature }), tree)).toContain(
      'was not issued by the vendor',
    );
  });

  it('refuses a root.crt that holds other authorities, even under the same names', () => {
    const own = forge.pki.rsa.generateKeyPair(2048);
    const forged = signedBy(own.privateKey, 'Nextcloud Root Authority', own, 'Nextcloud Root Authority');
    const text = read(tree, 'core/signature.json');
    expect(refusal(text, tree, { rootCrt: forged })).toContain('does not hold the code signing authorities');
    expect(refusal(text, tree, { rootCrt: '' })).toContain('does not hold the code signing authorities');
  });

  it('refuses a list after its certificate has ended, and before it began', () => {
    const text = read(tree, 'core/signature.json');
    expect(refusal(text, tree, { now: new Date('2041-06-07T00:00:00Z') })).toContain('not valid at this time');
    expect(refusal(text, tree, { now: new Date('2016-01-01T00:00:00Z') })).toContain('not valid at this time');
  });

  it('refuses what is not a signed list, without repeating it', () => {
    const list = JSON.parse(read(tree, 'core/signature.json'));
    for (const text of [
      '',
      'canary-4711',
      '[]',
      '{}',
      JSON.stringify({ ...list, hashes: { occ: 'canary-4711' } }),
      JSON.stringify({ ...list, signature: 5 }),
      JSON.stringify({ ...list, certificate: 'canary-4711' }),
      JSON.stringify({ ...list, more: 'canary-4711' }),
    ]) {
      expect(refusal(text, tree)).not.toContain('canary');
    }
  });

  it.each(trees)('accepts the list of $version, and names who signed it', (each) => {
    const list = readSignedList(read(each, 'core/signature.json'), { id: 'core', rootCrt: rootCrt(each), now });
    expect(list.signer).toBe('core');
    expect(list.hashes.size).toBeGreaterThan(8000);
  });

  it.each(trees)('accepts lists of shipped apps of $version, signed by the core certificate', (each) => {
    for (const id of ['encryption', 'dav', 'files']) {
      const text = read(each, `apps/${id}/appinfo/signature.json`);
      expect(readSignedList(text, { id, rootCrt: rootCrt(each), now }).signer).toBe('core');
    }
  });

  it('pins authorities by their whole certificate', () => {
    expect(Object.values(vendorAuthorities).every((value) => /^[0-9a-f]{64}$/.test(value))).toBe(true);
  });
});

describe.skipIf(trees.length === 0)('compareTree()', () => {
  const tree = trees[0] as NextcloudTree;

  function copyOfApp(): { folder: string; list: ReturnType<typeof readSignedList> } {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-vendor-'));
    folders.push(folder);
    cpSync(join(tree.folder, 'apps/encryption'), folder, { recursive: true });
    const text = read(tree, 'apps/encryption/appinfo/signature.json');
    return { folder, list: readSignedList(text, { id: 'encryption', rootCrt: rootCrt(tree), now }) };
  }

  it('tells changed, added and missing files apart', async () => {
    const { folder, list } = copyOfApp();
    writeFileSync(join(folder, 'lib/KeyManager.php'), '<?php // records keys\n');
    writeFileSync(join(folder, 'lib/Extra.php'), '<?php\n');
    rmSync(join(folder, 'lib/Recovery.php'));
    const difference = await compareTree(folder, list, { kind: 'app' });
    expect(difference).toEqual({
      missing: ['lib/Recovery.php'],
      changed: ['lib/KeyManager.php'],
      extra: ['lib/Extra.php'],
    });
    expect(() => assertUnchanged(difference)).toThrow('1 changed, 1 added, 1 missing');
  });

  it('notices a file with one byte more', async () => {
    const { folder, list } = copyOfApp();
    writeFileSync(join(folder, 'lib/Session.php'), '\n', { flag: 'a' });
    expect((await compareTree(folder, list, { kind: 'app' })).changed).toEqual(['lib/Session.php']);
  });

  it('finds nothing in an untouched app', async () => {
    const { folder, list } = copyOfApp();
    const difference = await compareTree(folder, list, { kind: 'app' });
    expect(difference).toEqual({ missing: [], changed: [], extra: [] });
    expect(() => assertUnchanged(difference)).not.toThrow();
  });

  it('compares .htaccess of the server only above its marker', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-vendor-'));
    folders.push(folder);
    const signed = '<IfModule>\n</IfModule>\n';
    writeFileSync(
      join(folder, '.htaccess'),
      `${signed}#### DO NOT CHANGE ANYTHING ABOVE THIS LINE ####\nErrorDocument 403 //\n`,
    );
    const hash = forge.md.sha512.create().update(signed).digest().toHex();
    const list = { signer: 'core', hashes: new Map([['.htaccess', hash]]) };
    expect((await compareTree(folder, list, { kind: 'core' })).changed).toEqual([]);
    expect((await compareTree(folder, list, { kind: 'app' })).changed).toEqual(['.htaccess']);
  });

  // 25,000 files each: with LATCHKEY_THOROUGH=1 of every release here
  const compared = process.env.LATCHKEY_THOROUGH === '1' ? trees : trees.slice(-1);
  it.each(compared)('finds no changed file in the tree of $version', { timeout: 120_000 }, async (each) => {
    const list = readSignedList(read(each, 'core/signature.json'), { id: 'core', rootCrt: rootCrt(each), now });
    expect((await compareTree(each.folder, list, { kind: 'core' })).changed).toEqual([]);
  });
});
