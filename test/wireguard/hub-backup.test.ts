import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { restoreBackup } from '../../keyserver/backup/restore.ts';
import { ageEnvelope, ageOpener } from '../../platform/backup/age.ts';
import { type Opener, plainEnvelope, secretEnvelope, secretOpener } from '../../platform/backup/envelope.ts';
import { restoreDirectory } from '../../platform/backup/restored-directory.ts';
import { pieceBytes } from '../../platform/backup/stream.ts';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { keyfileMethod, passphraseMethod, type UnsealMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { archiveKind, type HubSealing, makeHubBackup } from '../../wireguard/backup/hub-backup.ts';
import { restoreHub } from '../../wireguard/backup/hub-restore.ts';
import { digestTables } from '../../wireguard/backup/table-copy.ts';
import { openHubData, withHubData } from '../../wireguard/data/hub-data.ts';
import { listInterfaces } from '../../wireguard/store/hub-interface.ts';
import { secretName } from '../../wireguard/store/seal.ts';
import { canary, eventsOf, type MadeHub, makeHub } from './made-hub.ts';

let hub: MadeHub;
let identity: string;
const at = (name: string) => hub.at(name);
const begin = async () => {
  hub = await makeHub();
  await hub.addPeers(3);
  identity = await generateX25519Identity();
  createSecretFile(at('identity'), `# made for this test\n${identity}\n`);
};
const end = () => hub.remove();

const NOW = 1_790_000_000_000;
const byKeyfile = (): UnsealMethod => keyfileMethod(hub.backupKeyfile);
const byPassphrase = passphraseMethod(async () => 'correct horse battery');
const secret = (method = byKeyfile()): HubSealing => ({
  envelope: secretEnvelope(method, systemRandom),
  sealedWith: method.method === 'keyfile' ? 'keyfile' : 'passphrase',
});
const age = async (): Promise<HubSealing> => ({
  envelope: ageEnvelope([await identityToRecipient(identity)]),
  sealedWith: 'age',
});
const backup = (name = 'one.backup', sealing = secret()) => makeHubBackup(hub.data, at(name), sealing, NOW);
const restore = (name = 'one.backup', opener: Opener = secretOpener(byKeyfile())) =>
  restoreHub(
    { from: at(name), path: at('restored'), opener, sealedWith: 'keyfile', database: null },
    { now: NOW + 1, env: {} },
  );
const refused = { code: expect.stringMatching(/^(backup_refused|backup_damaged)$/) };

describe('makeHubBackup()', () => {
  beforeEach(begin);
  afterEach(end);

  it.each<[string, string, () => unknown]>([
    ['nowhere to write to', 'file_not_written', () => backup('no/such/folder/x')],
    ['a file that appeared meanwhile', 'file_exists', () => writeFileSync(at('one.backup'), 'precious')],
    [
      'a log that was altered',
      'audit_broken',
      () => hub.data.store.transaction((tx) => tx.updateTable('audit').set({ body: '{"seq":2}' }).execute()),
    ],
    ['a vault header that cannot be read', 'vault_damaged', () => writeFileSync(at('hub/vault.json'), '{}')],
    ['a public key that is another', 'audit_broken', () => writeFileSync(at('hub/audit.pub'), otherKey())],
    [
      'a secret that is no sealed box',
      'store_damaged',
      () =>
        hub.data.store.transaction((tx) =>
          tx
            .updateTable('gateway')
            .set({ secret_sealed: Buffer.alloc(27) })
            .execute(),
        ),
    ],
    [
      'a log whose key is gone',
      'store_damaged',
      () => hub.data.store.transaction((tx) => tx.deleteFrom('server_secret').execute()),
    ],
    ['a secret that cannot be had', 'file_not_read', () => backup('one.backup', secret(keyfileMethod(at('nothing'))))],
  ])('fails over %s, on record and without a file', async (_, code, prepare) => {
    const attempt = Promise.resolve(prepare()).then(() => backup());
    await expect(attempt).rejects.toMatchObject({ code });
    expect(readdirSync(hub.folder).filter((name) => name.includes('partial'))).toEqual([]);
    if (code === 'file_exists') expect(readFileSync(at('one.backup'), 'utf8')).toBe('precious');
    else expect(existsSync(at('one.backup'))).toBe(false);
    expect(readdirSync(at('hub')).filter((name) => name.startsWith('.'))).toEqual([]);
    expect((await hub.events()).at(-1)).toBe('backup_failed');
    expect(await hub.data.store.read((db) => db.selectFrom('backup').selectAll().execute())).toEqual([]);
  });

  it.each(['keyfile', 'age'])(
    'keeps everybody from reading it, and shows nothing of what is in it (%s)',
    async (way) => {
      await backup('one.backup', way === 'age' ? await age() : secret());
      const bytes = readFileSync(at('one.backup'));
      expect(statSync(at('one.backup')).mode & 0o777).toBe(0o600);
      for (const word of ['SQLite', 'phone', 'wg0', 'BEGIN', canary]) expect(bytes.includes(word)).toBe(false);
    },
  );

  it('is on record with its digest, and names files it did not take', async () => {
    writeFileSync(at('hub/notes.txt'), 'x');
    const report = await backup();
    expect(report.leftOut).toEqual(['notes.txt']);
    expect(report.checked).toMatchObject({ peers: 3, interfaces: 1, sealed: 4 });
    const rows = await hub.data.store.read((db) => db.selectFrom('backup').selectAll().execute());
    const { sha256, bytes } = report;
    expect(rows).toEqual([{ sha256, made_at: NOW, size: bytes, file: 'one.backup', sealed_with: 'keyfile' }]);
    expect((await hub.events()).at(-1)).toBe('backup_made');
  });
});

function otherKey(): string {
  return generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString();
}

describe('restoreHub(), over a backup that is not as it was made', () => {
  beforeAll(async () => {
    await begin();
    await backup();
    await backup('one.age', await age());
    await backup('plain', { envelope: plainEnvelope(), sealedWith: 'nothing' });
  });
  afterAll(end);
  afterEach(() => expect(existsSync(at('restored'))).toBe(false));

  it('refuses another secret, another kind of secret and another identity', async () => {
    createSecretFile(at('other-key'), systemRandom(32));
    createSecretFile(at('other-identity'), await generateX25519Identity());
    await expect(restore('one.backup', secretOpener(keyfileMethod(at('other-key'))))).rejects.toMatchObject({
      code: 'backup_refused',
    });
    await expect(restore('one.backup', secretOpener(byPassphrase))).rejects.toMatchObject({ code: 'unseal_failed' });
    await expect(restore('one.age', ageOpener(at('other-identity')))).rejects.toMatchObject({ code: 'backup_refused' });
    await expect(restore('one.age')).rejects.toMatchObject({ code: 'backup_damaged' });
  });

  it.each([
    ['a secret', 'one.backup', () => secretOpener(byKeyfile())],
    ['age', 'one.age', () => ageOpener(at('identity'))],
  ])('refuses a file sealed by %s with any one bit flipped', async (_, name, opener) => {
    const bytes = readFileSync(at(name));
    const salt = bytes.indexOf('"}') - 1; // its last letter has two spare bits
    const bits = fc.nat({ max: bytes.length * 8 - 1 }).filter((bit) => bit >> 3 !== salt);
    await fc.assert(
      fc.asyncProperty(bits, async (bit) => {
        const altered = Buffer.from(bytes);
        altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        writeFileSync(at('altered'), altered);
        await expect(restore('altered', opener())).rejects.toMatchObject(refused);
      }),
      { numRuns: 40, examples: [[0], [200], [bytes.length * 8 - 1]] },
    );
  });

  it.each<[string, string]>([
    ['one.backup', 'a secret'],
    ['one.age', 'age'],
  ])('refuses %s cut off anywhere, with more behind its end, or with pieces in another order', async (name) => {
    const opener = () => (name === 'one.age' ? ageOpener(at('identity')) : secretOpener(byKeyfile()));
    const bytes = readFileSync(at(name));
    const piece = pieceBytes + 16;
    const start = bytes.length - (bytes.length % piece === 0 ? piece : bytes.length % piece);
    const cuts = fc.nat({ max: bytes.length - 1 });
    await fc.assert(
      fc.asyncProperty(cuts, async (cut) => {
        writeFileSync(at('altered'), bytes.subarray(0, cut));
        await expect(restore('altered', opener())).rejects.toMatchObject(refused);
      }),
      { numRuns: 20, examples: [[0], [bytes.length - 1], [start]] },
    );
    for (const altered of [
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([bytes, bytes.subarray(-piece)]),
      Buffer.concat([bytes.subarray(0, -2 * piece), bytes.subarray(-piece), bytes.subarray(-2 * piece, -piece)]),
    ]) {
      writeFileSync(at('altered'), altered);
      await expect(restore('altered', opener())).rejects.toMatchObject(refused);
    }
  });

  it('refuses what another program wrote, and another program refuses what this one wrote', async () => {
    for (const text of [
      'hello\n',
      '',
      'latchkey backup 1 {"method":"keyfile","salt":"AAAAAAAAAAAAAAAAAAAAAA"}\n',
      ' '.repeat(9000),
    ]) {
      writeFileSync(at('altered'), text);
      await expect(restore('altered')).rejects.toMatchObject({
        code: 'backup_damaged',
        message: 'the file is no backup of a hub',
      });
    }
    await expect(restoreBackup(at('one.backup'), at('restored'), byKeyfile(), systemClock)).rejects.toMatchObject({
      code: 'backup_damaged',
      message: 'the file is no backup of a key server',
    });
  });

  it('refuses one in clear in which a byte is another, or which says that its state is elsewhere', async () => {
    const bytes = readFileSync(at('plain'));
    const byte = bytes.indexOf('phone');
    const altered = Buffer.from(bytes);
    altered.write('P', byte);
    writeFileSync(at('altered'), altered);
    await expect(restore('altered', plainEnvelope())).rejects.toMatchObject({ code: 'backup_damaged' });
    const config = readFileSync(at('hub/config.json'), 'utf8');
    writeFileSync(at('hub/config.json'), config.replace('"database": null', '"database": {"urlFile": "/nowhere"}'));
    await expect(backup('elsewhere')).rejects.toMatchObject({ code: 'store_damaged' });
    writeFileSync(at('hub/config.json'), config);
  });
});

describe('restoreHub()', () => {
  beforeEach(begin);
  afterEach(end);

  it('never touches a directory with something in it', async () => {
    await backup();
    mkdirSync(at('restored'), { mode: 0o700 });
    writeFileSync(at('restored/precious'), 'x');
    await expect(restore()).rejects.toMatchObject({ code: 'data_exists', exit: 3 });
    expect(readdirSync(at('restored'))).toEqual(['precious']);
    rmSync(at('restored/precious'));
    await expect(restore('one.backup', secretOpener(byPassphrase))).rejects.toThrow();
    expect(readdirSync(at('restored'))).toEqual([]);
  });

  it.each<[string, () => Promise<HubSealing>, () => Opener]>([
    ['a key file', async () => secret(), () => secretOpener(byKeyfile())],
    ['a passphrase', async () => secret(byPassphrase), () => secretOpener(byPassphrase)],
    ['age', age, () => ageOpener(at('identity'))],
    ['nothing', async () => ({ envelope: plainEnvelope(), sealedWith: 'nothing' }), plainEnvelope],
  ])('gives back the hub out of a backup sealed by %s, on record, with every secret', async (_, sealing, opener) => {
    const wanted = await hub.data.store.read((db) => digestTables(db));
    const someone = { id: 'a', account: 'ann', source: '::1', changed_at: 1, began_at: NOW, seen_at: NOW };
    await hub.data.store.transaction((tx) => tx.insertInto('session').values(someone).execute());
    const { sha256 } = await backup('one.backup', await sealing());
    const report = await restore('one.backup', opener());
    expect(report).toMatchObject({ hub: 'hub', peers: 3, sealedWith: 'keyfile', madeAt: NOW });
    expect(report.interfaces).toEqual([{ name: 'wg0', endpoint: 'hub.example:51820' }]);
    const modes = readdirSync(at('restored')).map((name) => [name, statSync(at(`restored/${name}`)).mode & 0o777]);
    expect(Object.fromEntries(modes)).toEqual({
      'audit.pub': 0o644,
      'config.json': 0o600,
      'hub.db': 0o600,
      'vault.json': 0o600,
    });
    const vault = await unsealVault(at('restored'), keyfileMethod(hub.keyfile), systemRandom);
    await withHubData(at('restored'), {}, async (data) => {
      const changed = ['backup', 'audit', 'gateway'];
      const found = await data.store.read((db) => digestTables(db));
      const others = (list: typeof wanted) => list.filter(({ table }) => !changed.includes(table));
      expect(others(found)).toEqual(others(wanted)); // and nobody is logged in, as then
      const { secret_sealed, newest } = await data.store.read((db) =>
        db.selectFrom('gateway').select(['secret_sealed', 'newest']).executeTakeFirstOrThrow(),
      );
      // what was taken after the backup is not known here, so nothing is that was signed before now
      expect(newest).toBe(Math.floor((NOW + 1) / 1000));
      expect(vault.open(secretName('gateway', 'berlin'), secret_sealed).toString()).toBe(canary);
      const before = await hub.data.store.read((db) => listInterfaces(db, hub.vault));
      expect(await data.store.read((db) => listInterfaces(db, vault))).toEqual(before);
      expect((await eventsOf(data)).at(-1)).toBe('hub_restored');
      const rows = await data.store.read((db) => db.selectFrom('backup').select('sha256').execute());
      expect(rows).toEqual([{ sha256 }]);
    });
  });

  it('leaves nothing where the database that was named is not to be had', async () => {
    await backup();
    const order = { from: at('one.backup'), path: at('restored'), opener: secretOpener(byKeyfile()) };
    const database = { urlFile: at('no-such-url') };
    const attempt = restoreHub({ ...order, sealedWith: 'keyfile', database }, { now: NOW, env: {} });
    await expect(attempt).rejects.toMatchObject({ code: 'file_not_read' });
    expect(existsSync(at('restored'))).toBe(false);
  });
});

describe('restoreDirectory()', () => {
  beforeEach(begin);
  afterEach(end);

  it('puts config.json into place last: what was interrupted is no hub', async () => {
    await backup();
    const attempt = restoreDirectory({
      from: at('one.backup'),
      path: at('restored'),
      kind: archiveKind,
      opener: secretOpener(byKeyfile()),
      publicFiles: [],
      settle: async ({ workshop }) => void mkdirSync(join(dirname(workshop), 'vault.json')), // the last by the alphabet cannot move
    });
    await expect(attempt).rejects.toThrow();
    expect(readdirSync(at('restored'))).toContain('hub.db');
    expect(readdirSync(at('restored'))).not.toContain('config.json');
    await expect(openHubData(at('restored'), {})).rejects.toMatchObject({ code: 'data_missing' });
  });
});
