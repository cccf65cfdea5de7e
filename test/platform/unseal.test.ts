import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RandomBytes } from '../../platform/clock.ts';
import type { UnsealMethod } from '../../platform/vault/unseal.ts';
import {
  credentialMethod,
  keyfileMethod,
  passphraseFileMethod,
  passphraseMethod,
} from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { makeVault, sealMethodOf, storeVault, unsealVault } from '../../platform/vault/vault-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-unseal-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function createVault(directory: string, method: UnsealMethod, random: RandomBytes): Promise<Vault> {
  const made = await makeVault(method, random);
  storeVault(directory, made);
  return made.vault;
}

const passphrase = (text: string) => passphraseMethod(async () => text);
const right = 'correct horse battery';

function keyfile(name: string, bytes: Buffer, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, bytes, { mode });
  chmodSync(path, mode);
  return path;
}

describe('unsealVault()', () => {
  it('refuses a wrong passphrase with unseal_failed and no word of it', async () => {
    await createVault(folder, passphrase(right), randomBytes);
    const failure = unsealVault(folder, passphrase('Correct horse battery'), randomBytes);
    await expect(failure).rejects.toMatchObject({ code: 'unseal_failed', exit: 1 });
    await expect(failure).rejects.not.toThrow(/horse/);
  });
  it('refuses another key file', async () => {
    await createVault(folder, keyfileMethod(keyfile('a', randomBytes(32))), randomBytes);
    const other = keyfileMethod(keyfile('b', randomBytes(32)));
    await expect(unsealVault(folder, other, randomBytes)).rejects.toMatchObject({ code: 'unseal_failed' });
  });
  it('says which option a vault of another method wants', async () => {
    await createVault(folder, passphrase(right), randomBytes);
    const method = keyfileMethod(keyfile('a', randomBytes(32)));
    await expect(unsealVault(folder, method, randomBytes)).rejects.toMatchObject({
      code: 'unseal_failed',
      hint: 'use --passphrase-file FILE',
    });
  });
  it.each([
    ['weaker parameters', (text: string) => text.replace('"passes": 3', '"passes": 1')],
    ['another salt', (text: string) => text.replace(/"salt": ".{4}/, '"salt": "AAAA')],
  ])('refuses a vault.json with %s', async (_, alter) => {
    await createVault(folder, passphrase(right), randomBytes);
    const path = join(folder, 'vault.json');
    const text = readFileSync(path, 'utf8');
    expect(alter(text)).not.toBe(text);
    writeFileSync(path, alter(text));
    await expect(unsealVault(folder, passphrase(right), randomBytes)).rejects.toMatchObject({ code: 'unseal_failed' });
  });
  it.each([
    ['not JSON', () => '{'],
    ['of a later version', (text: string) => text.replace('"version": 1', '"version": 2')],
    ['asking for work without end', (text: string) => text.replace('"passes": 3', '"passes": 1000000')],
    ['with a member nobody knows', (text: string) => text.replace('"version": 1', '"version": 1, "more": 1')],
  ])('refuses a vault.json %s with vault_damaged', async (_, alter) => {
    await createVault(folder, passphrase(right), randomBytes);
    const path = join(folder, 'vault.json');
    writeFileSync(path, alter(readFileSync(path, 'utf8')));
    await expect(unsealVault(folder, passphrase(right), randomBytes)).rejects.toMatchObject({ code: 'vault_damaged' });
  });
  it('opens with the same passphrase, however its accents are spelled', async () => {
    const vault = await createVault(folder, passphrase('pass phrase \u00e9t\u00e9'), randomBytes);
    const again = await unsealVault(folder, passphrase('pass phrase e\u0301te\u0301'), randomBytes);
    const name = { kind: 'key', client: 'c', id: 'i', version: 1 };
    expect(again.open(name, vault.seal(name, Buffer.from('x'))).toString()).toBe('x');
  });
  it('opens with the passphrase in a file, without its line end', async () => {
    await createVault(folder, passphrase(right), randomBytes);
    const file = keyfile('pass', Buffer.from(`${right}\n`));
    await expect(unsealVault(folder, passphraseFileMethod(file), randomBytes)).resolves.toBeDefined();
    await expect(sealMethodOf(folder)).resolves.toBe('passphrase');
  });
});

describe('makeVault() and storeVault()', () => {
  it('never replace a vault', async () => {
    await createVault(folder, passphrase(right), randomBytes);
    const before = readFileSync(join(folder, 'vault.json'), 'utf8');
    await expect(createVault(folder, passphrase(right), randomBytes)).rejects.toMatchObject({ code: 'file_exists' });
    expect(readFileSync(join(folder, 'vault.json'), 'utf8')).toBe(before);
  });
  it('refuse a passphrase of 11 characters and take one of 12', async () => {
    await expect(createVault(folder, passphrase('elevenchars'), randomBytes)).rejects.toMatchObject({
      code: 'passphrase_too_short',
      exit: 2,
    });
    await expect(createVault(folder, passphrase('twelve chars'), randomBytes)).resolves.toBeDefined();
  });
  it('write neither the passphrase nor a key that opens without it', async () => {
    await createVault(folder, passphrase(right), randomBytes);
    const document = JSON.parse(readFileSync(join(folder, 'vault.json'), 'utf8'));
    expect(Object.keys(document)).toEqual(['version', 'kek', 'wrapped']);
    expect(document.kek).toMatchObject({ method: 'passphrase', memoryKiB: 65_536, passes: 3, lanes: 4 });
    expect(Buffer.from(document.wrapped, 'base64')).toHaveLength(12 + 32 + 16);
  });
});

describe('keyfileMethod()', () => {
  it.each([0, 31, 33])('refuses %i bytes', async (length) => {
    const method = keyfileMethod(keyfile('k', Buffer.alloc(length, 1)));
    await expect(method.kekOf(method.newHeader(randomBytes))).rejects.toMatchObject({
      code: 'invalid_request',
      exit: 2,
    });
  });
  it('refuses a file that others may read', async () => {
    const method = keyfileMethod(keyfile('k', randomBytes(32), 0o640));
    await expect(method.kekOf(method.newHeader(randomBytes))).rejects.toMatchObject({ code: 'file_too_open', exit: 3 });
  });
});

describe('credentialMethod()', () => {
  it.each(['../k', 'a/b', '', '.hidden'])('refuses the name %j', async (name) => {
    keyfile('k', randomBytes(32));
    const method = credentialMethod(name, { CREDENTIALS_DIRECTORY: join(folder, 'sub') });
    await expect(method.kekOf(method.newHeader(randomBytes))).rejects.toMatchObject({ code: 'invalid_request' });
  });
  it('refuses to run outside a unit', async () => {
    const method = credentialMethod('k', {});
    await expect(method.kekOf(method.newHeader(randomBytes))).rejects.toMatchObject({ code: 'credential_missing' });
  });
  it('refuses a short credential', async () => {
    keyfile('k', randomBytes(31));
    const method = credentialMethod('k', { CREDENTIALS_DIRECTORY: folder });
    await expect(method.kekOf(method.newHeader(randomBytes))).rejects.toMatchObject({ code: 'invalid_request' });
  });
  it('opens a vault, and takes the group bit that systemd sets', async () => {
    keyfile('k', randomBytes(48), 0o440);
    const method = credentialMethod('k', { CREDENTIALS_DIRECTORY: folder });
    await createVault(folder, method, randomBytes);
    await expect(unsealVault(folder, method, randomBytes)).resolves.toBeDefined();
  });
});
