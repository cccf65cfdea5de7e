import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeBackup } from '../../keyserver/backup/backup.ts';
import { restoreBackup } from '../../keyserver/backup/restore.ts';
import { keyItem } from '../../keyserver/clients/client.ts';
import { findClient, resetClient } from '../../keyserver/clients/client-admin.ts';
import { addBackupCommands } from '../../keyserver/commands/backup.ts';
import { openServerData } from '../../keyserver/server-data.ts';
import { appendAudit, readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { pieceBytes } from '../../platform/backup/stream.ts';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { keyfileMethod, passphraseMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { runCommand } from './command-runner.ts';
import { call, HonestClient } from './honest-client.ts';
import { masterKeyId } from './made-server.ts';
import { RunningServer } from './running-server.ts';
import { makeTestData, type TestData } from './test-data.ts';

let test: TestData;
const at = (name: string) => join(test.folder, name);
async function begin(): Promise<void> {
  test = await makeTestData();
  createSecretFile(at('backup-key'), systemRandom(32));
}
const end = () => test.remove();

const method = () => keyfileMethod(at('backup-key'));
const deps = () => ({ clock: test.clock, random: systemRandom });
const backup = (out = at('one.backup'), secret = method()) => makeBackup(test.data, out, secret, deps());
const restore = (from = at('one.backup'), secret = method()) => restoreBackup(from, at('restored'), secret, test.clock);
const events = async () => {
  const rows = await test.data.store.read((tx) => readAudit(tx, 0, 1000));
  return rows.map((row) => (JSON.parse(row.body) as { event: string }).event);
};

async function storeCanary(): Promise<string> {
  const { clientId } = await test.add();
  const sealed = test.vault.seal(keyItem(clientId, 'k'), Buffer.from('canary key'));
  const row = { client_id: clientId, key_id: 'k', sealed, created_at: 0 };
  await test.data.store.transaction((tx) => tx.insertInto('stored_key').values(row).execute());
  return clientId;
}

describe('makeBackup()', () => {
  beforeEach(begin);
  afterEach(end);
  it('never overwrites, and that is no failed backup', async () => {
    writeFileSync(at('one.backup'), 'precious');
    await expect(backup()).rejects.toMatchObject({ code: 'file_exists', exit: 3 });
    expect(readFileSync(at('one.backup'), 'utf8')).toBe('precious');
    expect(await events()).not.toContain('backup_failed');
  });
  it.each<[string, string, () => Promise<unknown>]>([
    ['nowhere to write to', 'file_not_written', () => backup(at('no/such/folder/x'))],
    [
      'a log that was altered',
      'audit_broken',
      async () => {
        await test.data.store.transaction((tx) => tx.updateTable('audit').set({ body: '{"seq":1}' }).execute());
        return backup();
      },
    ],
    [
      'a vault header that cannot be read',
      'vault_damaged',
      () => {
        writeFileSync(join(test.data.directory, 'vault.json'), '{}');
        return backup();
      },
    ],
    ['a secret that cannot be had', 'file_not_read', () => backup(at('x'), keyfileMethod(at('nothing')))],
  ])('fails over %s, on record, with an alert and without a file', async (_, code, attempt) => {
    const before = readdirSync(test.folder).sort();
    await expect(attempt()).rejects.toMatchObject({ code });
    expect(readdirSync(test.folder).sort()).toEqual(before);
    expect(readdirSync(test.data.directory).filter((name) => name.startsWith('.'))).toEqual([]);
    expect((await events()).at(-1)).toBe('backup_failed');
    const messages = await test.data.store.read((tx) => tx.selectFrom('outbox_message').select('body').execute());
    expect(messages.map(({ body }) => JSON.parse(body))).toEqual([
      expect.objectContaining({ event: 'backup_failed', reason: code, lastGood: null }),
    ]);
    expect(await test.data.store.read((tx) => tx.selectFrom('backup').selectAll().execute())).toEqual([]);
  });
  it('keeps everybody from reading it, and says nothing of what is in it', async () => {
    const clientId = await storeCanary();
    await backup();
    const bytes = readFileSync(at('one.backup'));
    expect(statSync(at('one.backup')).mode & 0o777).toBe(0o600);
    for (const word of ['canary', clientId, 'SQLite', 'cloud', 'BEGIN']) expect(bytes.includes(word)).toBe(false);
  });
  it('takes away what a killed backup left, and leaves one that runs alone', async () => {
    const dead = join(test.data.directory, '.backup-4194304');
    const alive = join(test.data.directory, '.backup-1');
    for (const folder of [dead, alive]) mkdirSync(folder);
    await backup();
    expect([existsSync(dead), existsSync(alive)]).toEqual([false, true]);
  });
  it('is on record with its digest, and names files it did not take', async () => {
    writeFileSync(join(test.data.directory, 'notes.txt'), 'x');
    const report = await backup();
    expect(report.leftOut).toEqual(['notes.txt']);
    const rows = await test.data.store.read((tx) => tx.selectFrom('backup').selectAll().execute());
    expect(rows).toEqual([{ made_at: test.clock.now(), sha256: report.sha256, size: report.bytes }]);
    expect((await events()).at(-1)).toBe('backup_made');
  });
  it('is of one moment while others write', async () => {
    let writing = true;
    const writer = (async () => {
      while (writing) {
        await test.data.store.transaction((tx) => appendAudit(tx, { time: 1, event: 'noise' }));
        await nextTurn();
      }
    })();
    await backup();
    writing = false;
    await writer;
    const { records } = await restore();
    expect(records).toBeGreaterThan(0);
    expect((await events()).filter((event) => event === 'noise').length).toBeGreaterThan(0);
  });
});

describe('restoreBackup(), over a backup that is not as it was made', () => {
  beforeAll(async () => {
    await begin();
    await backup();
  });
  afterAll(end);
  const nothing = () => expect(existsSync(at('restored'))).toBe(false);

  it('refuses another secret, and another kind of secret', async () => {
    createSecretFile(at('other-key'), systemRandom(32));
    await expect(restore(undefined, keyfileMethod(at('other-key')))).rejects.toMatchObject({ code: 'backup_refused' });
    const pass = passphraseMethod(async () => 'correct horse battery');
    await expect(restore(undefined, pass)).rejects.toMatchObject({ code: 'unseal_failed' });
    nothing();
  });
  it('refuses a file with any one bit flipped', async () => {
    const bytes = readFileSync(at('one.backup'));
    const refused = expect.objectContaining({ code: expect.stringMatching(/^(backup_refused|backup_damaged)$/) });
    const flip = fc.nat({ max: bytes.length * 8 - 1 }).filter((bit) => bit > 8 * 40 && !isPadding(bytes, bit));
    await fc.assert(
      fc.asyncProperty(flip, async (bit) => {
        const altered = Buffer.from(bytes);
        altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        writeFileSync(at('altered'), altered);
        await expect(restore(at('altered'))).rejects.toEqual(refused);
      }),
      { numRuns: 40 },
    );
    nothing();
  });
  it.each<[string, (bytes: Buffer, start: number, piece: number) => Buffer]>([
    ['cut off behind a piece', (bytes, start, piece) => bytes.subarray(0, start + piece)],
    ['cut off within one', (bytes) => bytes.subarray(0, -1)],
    ['with a byte behind its end', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['with its end twice', (bytes, start, piece) => Buffer.concat([bytes, bytes.subarray(start + piece)])],
    [
      'with two pieces in the other order',
      (bytes, start, piece) =>
        Buffer.concat([
          bytes.subarray(0, start),
          bytes.subarray(start + piece, start + 2 * piece),
          bytes.subarray(start, start + piece),
          bytes.subarray(start + 2 * piece),
        ]),
    ],
    ['that is none', () => Buffer.from('hello\n')],
    ['that is empty', () => Buffer.alloc(0)],
    ['with a header that never ends', () => Buffer.alloc(100_000, 0x20)],
  ])('refuses a file %s', async (_, alter) => {
    const bytes = readFileSync(at('one.backup'));
    const start = bytes.indexOf(10) + 1;
    const piece = pieceBytes + 16;
    expect(bytes.length).toBeGreaterThan(start + 2 * piece);
    writeFileSync(at('altered'), alter(bytes, start, piece));
    await expect(restore(at('altered'))).rejects.toMatchObject({
      code: expect.stringMatching(/^(backup_refused|backup_damaged)$/),
    });
    nothing();
  });
});

describe('restoreBackup()', () => {
  beforeEach(begin);
  afterEach(end);
  it('never touches a directory with something in it, and keeps an empty one it was given', async () => {
    await backup();
    mkdirSync(at('restored'), { mode: 0o700 });
    createSecretFile(at('other-key'), systemRandom(32));
    await expect(restore(undefined, keyfileMethod(at('other-key')))).rejects.toThrow();
    expect(readdirSync(at('restored'))).toEqual([]);
    writeFileSync(at('restored/precious'), '');
    await expect(restore()).rejects.toMatchObject({ code: 'data_exists', exit: 3 });
    rmSync(at('restored/precious'));
    chmodSync(at('restored'), 0o755);
    await expect(restore()).rejects.toMatchObject({ code: 'data_too_open' });
  });
  it('gives back the server, on record, with codes and grants of then ended', async () => {
    const clientId = await storeCanary();
    writeFileSync(join(test.data.directory, 'KILL'), '');
    await backup();
    const report = await restore();
    expect(report).toMatchObject({ keys: 1, sealedWith: 'keyfile', clients: ['cloud'], madeAt: test.clock.now() });
    const directory = at('restored');
    const modes = readdirSync(directory)
      .sort()
      .map((name) => [name, (statSync(join(directory, name)).mode & 0o777).toString(8)]);
    expect(Object.fromEntries(modes)).toMatchObject({
      KILL: '600',
      'audit.pub': '644',
      'ca.pem': '644',
      'config.json': '600',
      'keyserver.db': '600',
      'vault.json': '600',
    });
    const data = await openServerData(directory);
    const vault = await unsealVault(directory, keyfileMethod(test.keyfile), systemRandom);
    const { key, codes, grants, last } = await data.store.read(async (tx) => {
      const { head } = await verifyAudit(tx, data.auditKey);
      return {
        key: await tx.selectFrom('stored_key').select('sealed').executeTakeFirstOrThrow(),
        codes: await tx.selectFrom('enrolment').select('expires_at').execute(),
        grants: await tx.selectFrom('grant').selectAll().execute(),
        last: JSON.parse((await readAudit(tx, head.seq - 1, 1))[0]?.body ?? '{}') as unknown,
      };
    });
    expect(vault.open(keyItem(clientId, 'k'), key.sealed).toString()).toBe('canary key');
    expect(codes.map((row) => row.expires_at <= test.clock.now())).toEqual([true]);
    expect(grants).toEqual([]);
    expect(last).toMatchObject({ event: 'server_restored', detail: { backup_made_at: test.clock.now() } });
    await data.store.close();
  });
  it('opens with a passphrase', async () => {
    const pass = passphraseMethod(async () => 'correct horse battery');
    await backup(at('one.backup'), pass);
    await expect(restore(undefined, pass)).resolves.toMatchObject({ keys: 0 });
  });
});

/** Letters of the header whose case or unused bits change nothing: there are none, but the salt's last letter has two spare bits. */
function isPadding(bytes: Buffer, bit: number): boolean {
  const end = bytes.indexOf('"}', 0);
  return bit >> 3 === end - 1;
}

describe('a restored server', () => {
  let server: RunningServer;
  beforeAll(async () => {
    await begin();
    server = await RunningServer.start({ clients: 1 });
  });
  afterAll(async () => {
    await server.remove();
    await end();
  });

  it('is noticed by a client that went on meanwhile, and serves it again after a reset', async () => {
    const client = server.client();
    const data = await openServerData(server.made.data);
    const from = at('running.backup');
    await makeBackup(data, from, method(), { clock: systemClock, random: systemRandom });
    await data.store.close();
    const answer = await client.exchange(server, [masterKeyId]);
    expect(answer.status).toBe(200);
    const head = answer.body.head as { seq: number; hash: string };

    await server.leaveData();
    await restoreBackup(from, server.made.data, method(), systemClock);
    await server.resume();
    const body = { ...client.openBody(), seen: { seq: head.seq, head: head.hash } };
    expect(await call(server, 'POST', '/v1/open', client.openHeaders(), body)).toMatchObject({ status: 401 });
    expect(await server.events()).toEqual(expect.arrayContaining(['server_restored', 'server_rollback_suspected']));

    const { code } = await server.beside(async (tx) =>
      resetClient(tx, await findClient(tx, client.credentials.clientId), false, Date.now(), systemRandom),
    );
    const enrolled = await call(server, 'POST', '/v1/enroll', {}, { code });
    expect(enrolled.status).toBe(201);
    const { token, totpSecret, link } = enrolled.body as { token: string; totpSecret: string; link: string };
    const again = new HonestClient({ ...client.credentials, token, totpSecret, link });
    expect(await again.exchange(server, [masterKeyId])).toMatchObject({ status: 200 });
  });
});

describe('keyserver backup and restore', () => {
  beforeEach(begin);
  afterEach(end);
  const keyserver = (...argv: string[]) => runCommand(addBackupCommands, argv);
  const source = () => ['--data', test.data.directory, '--out', at('one.backup')];
  const secret = () => ['--backup-keyfile', at('backup-key')];

  it.each<[string, () => string[], number, string]>([
    ['two secrets', () => ['backup', ...source(), ...secret(), '--backup-passphrase-file', 'x'], 2, 'only one of'],
    ['nobody to ask for a passphrase', () => ['backup', ...source()], 2, 'no terminal to ask'],
    ['a backup that is not there', () => ['restore', '--from', at('none'), '--data', at('new')], 2, 'there is no file'],
    [
      'a folder as a backup',
      () => ['restore', '--from', test.folder, '--data', at('new'), ...secret()],
      1,
      'could not be read (EISDIR)',
    ],
  ])('refuse %s', async (_, argv, exit, words) => {
    const said = await keyserver(...argv());
    expect(said).toMatchObject({ exit, stdout: '' });
    expect(said.stderr).toContain(words);
    expect(existsSync(at('one.backup'))).toBe(false);
    expect(existsSync(at('new'))).toBe(false);
  });
  it('say what was made, and what a restored server has to be told', async () => {
    await test.add();
    const made = await keyserver('backup', ...source(), ...secret());
    expect(made.stdout).toMatch(/^ok: .*one\.backup, [0-9]+ bytes, read back whole: 2 audit records, 0 keys\nsha256 /);
    expect(made.stderr).toContain('the secret that opens the vault is not in it');
    const restored = await keyserver('restore', '--from', at('one.backup'), '--data', at('restored'), ...secret());
    expect(restored.exit).toBe(0);
    for (const words of [
      'This server has forgotten everything since then',
      'Make sure that the old server is off for good',
      `keyserver client reset cloud --data ${at('restored')}`,
      '--keyfile FILE',
    ]) {
      expect(restored.stdout).toContain(words);
    }
    const again = await keyserver(
      'restore',
      '--from',
      at('one.backup'),
      '--data',
      at('restored'),
      ...secret(),
      '--json',
    );
    expect(again.exit).toBe(3);
    expect(JSON.parse(again.stdout)).toMatchObject({ error: { code: 'data_exists' } });
  });
});
