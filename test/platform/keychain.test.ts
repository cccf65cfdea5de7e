import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeychainSecret, findKeychainSecret, keychainMethod } from '../../platform/vault/keychain.ts';
import { makeVault, storeVault, unsealVault } from '../../platform/vault/vault-file.ts';

let folder: string;
let program: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-keychain-'));
  program = standIn();
});
afterEach(() => rmSync(folder, { recursive: true }));

/**
 * A stand-in for macOS's `security`, which only macOS has: one item in a file, exit code 44 when it is not there, commands
 * on standard input with `-i` whose failures do not show in its own exit code, as with the real one. It notes its arguments.
 */
function standIn(): string {
  const path = join(folder, 'security');
  const script = `#!/bin/sh
here='${folder}'
printf '%s\\n' "$*" >> "$here/arguments"
[ -e "$here/locked" ] && exit 51
case $1 in
find-generic-password)
  [ "$3" = latchkey ] && [ "$5" = vault ] && [ "$6" = -w ] || exit 2
  [ -e "$here/item" ] || exit 44
  cat "$here/item" ;;
-i)
  read -r line
  case $line in
  'add-generic-password -a latchkey -s vault '*) [ -e "$here/full" ] || printf '%s\\n' "\${line##* }" > "$here/item" ;;
  esac ;;
*) exit 2 ;;
esac
`;
  writeFileSync(path, script, { mode: 0o700 });
  return path;
}

const put = (text: string) => writeFileSync(join(folder, 'item'), `${text}\n`);

describe('keychainMethod()', () => {
  it.each(['', '-w', 'a b', 'a"b', 'x'.repeat(65)])('refuses the name %j', (name) => {
    expect(() => keychainMethod(name, program)).toThrow(expect.objectContaining({ code: 'invalid_request', exit: 2 }));
  });
  it.each([
    ['is not there', () => undefined, 'has no item'],
    ['is no 64 hex digits', () => put('hunter2'), 'must be 64 hex digits'],
    [
      'is in a locked keychain',
      () => put('0'.repeat(64)) ?? writeFileSync(join(folder, 'locked'), ''),
      'did not hand out',
    ],
  ])('refuses an item that %s', async (_, prepare, words) => {
    prepare();
    const method = keychainMethod('vault', program);
    const failure = method.kekOf(method.newHeader(randomBytes));
    await expect(failure).rejects.toMatchObject({ code: 'keychain_refused', message: expect.stringContaining(words) });
    await expect(failure).rejects.not.toThrow(/hunter2/);
  });
  it('says that there is no such program on other systems', async () => {
    await expect(findKeychainSecret('vault', join(folder, 'none'))).rejects.toMatchObject({ code: 'command_missing' });
  });
  it('opens the vault it made, and not with another item', async () => {
    await createKeychainSecret('vault', randomBytes(32), program);
    storeVault(folder, await makeVault(keychainMethod('vault', program), randomBytes));
    await expect(unsealVault(folder, keychainMethod('vault', program), randomBytes)).resolves.toBeDefined();
    put('0'.repeat(64));
    await expect(unsealVault(folder, keychainMethod('vault', program), randomBytes)).rejects.toMatchObject({
      code: 'unseal_failed',
    });
  });
});

describe('createKeychainSecret()', () => {
  it('fails when the item is not there afterwards', async () => {
    writeFileSync(join(folder, 'full'), '');
    await expect(createKeychainSecret('vault', randomBytes(32), program)).rejects.toMatchObject({
      code: 'keychain_refused',
    });
  });
  it('never puts the secret into arguments', async () => {
    const secret = randomBytes(32);
    await createKeychainSecret('vault', secret, program);
    expect(await findKeychainSecret('vault', program)).toEqual(secret);
    expect(readFileSync(join(folder, 'arguments'), 'utf8')).not.toContain(secret.toString('hex'));
  });
});
