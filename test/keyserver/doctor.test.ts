import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addDoctorCommand } from '../../keyserver/commands/doctor.ts';
import { databaseFile, killFile } from '../../keyserver/data-directory.ts';
import { examine, timeSyncFinding } from '../../keyserver/doctor.ts';
import { loadAuditKey, serverIdentity } from '../../keyserver/server-secrets.ts';
import { signAudit } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
import { guardStore } from '../../platform/guarded-store.ts';
import { readTimeSync } from '../../platform/time-sync.ts';
import { Vault } from '../../platform/vault/vault.ts';
import { runCommand } from './command-runner.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

const day = 86_400_000;
let test: TestData;
beforeEach(async () => {
  test = await makeTestData();
});
afterEach(() => test.remove());

async function finding(check: string, options: { vault?: Vault | null; now?: number } = {}) {
  const { vault = test.vault, now = someMoment } = options;
  const findings = await examine(test.data, vault, now);
  const found = findings.filter((one) => one.check === check);
  expect(found).toHaveLength(1);
  return found[0];
}

describe('examine()', () => {
  it.each<[string, string, string, () => void | Promise<void>]>([
    ['data directory', 'fault', 'mode 750', () => chmodSync(test.data.directory, 0o750)],
    ['data directory', 'warn', 'vault.json', () => chmodSync(join(test.data.directory, 'vault.json'), 0o644)],
    ['kill switch', 'warn', 'KILL', () => writeFileSync(killFile(test.data.directory), '')],
    [
      'audit log',
      'fault',
      'audit record 1',
      async () => {
        const edit = { body: '{"event":"nothing_happened","seq":1}' };
        await test.data.store.transaction((tx) => tx.updateTable('audit').set(edit).execute());
      },
    ],
    [
      'clients',
      'warn',
      'locked: cloud',
      async () => {
        await test.add();
        await test.data.store.transaction((tx) => tx.updateTable('client').set({ state: 'locked' }).execute());
      },
    ],
    [
      'vault',
      'fault',
      'does not open',
      async () => {
        const { clientId } = await test.add();
        const row = { client_id: clientId, key_id: 'k', sealed: systemRandom(64), created_at: 0 };
        await test.data.store.transaction((tx) => tx.insertInto('stored_key').values(row).execute());
      },
    ],
  ])('finds in the %s: %s, %s', async (check, verdict, words, attack) => {
    expect(await finding(check)).toMatchObject({ verdict: 'ok' });
    await attack();
    const found = await finding(check);
    expect(found?.verdict).toBe(verdict);
    expect(found?.found).toContain(words);
  });
  it('tells of a fault in one document for programs, and ends with 1', async () => {
    const edit = { body: '{"event":"nothing_happened","seq":1}' };
    await test.data.store.transaction((tx) => tx.updateTable('audit').set(edit).execute());
    const said = await runCommand(addDoctorCommand, ['doctor', '--data', test.data.directory, '--json']);
    expect([said.exit, JSON.parse(said.stdout).ok]).toEqual([1, false]);
    expect(said.stderr).toContain('found a fault');
  });
  it('finds a database that is gone', async () => {
    const store = guardStore(test.data.store, databaseFile(test.data.directory), test.clock);
    rmSync(databaseFile(test.data.directory));
    const findings = await examine({ ...test.data, store }, null, someMoment);
    expect(findings.find((one) => one.check === 'database')).toMatchObject({ verdict: 'fault' });
  });
  it('finds a vault that belongs to another server', async () => {
    expect(await finding('vault', { vault: Vault.create(systemRandom) })).toMatchObject({ verdict: 'fault' });
  });
  it('says that a vault was not tried', async () => {
    expect(await finding('vault', { vault: null })).toMatchObject({ verdict: 'warn' });
  });
  it('finds a clock that went back, a second of doubt allowed', async () => {
    expect(await finding('clock', { now: someMoment - 1000 })).toMatchObject({ verdict: 'ok' });
    expect(await finding('clock', { now: someMoment - 1001 })).toMatchObject({ verdict: 'fault' });
  });
  it('finds certificates that ended', async () => {
    expect(await finding('certificate', { now: someMoment + 398 * day })).toMatchObject({ verdict: 'fault' });
    expect(await finding('certificate authority', { now: someMoment + 3651 * day })).toMatchObject({
      verdict: 'fault',
    });
    expect(await finding('certificate authority', { now: someMoment + 3600 * day })).toMatchObject({ verdict: 'warn' });
  });
  it('finds a log that nobody has signed for hours', async () => {
    await test.add();
    expect(await finding('audit signature', { now: someMoment + 7_200_000 })).toMatchObject({ verdict: 'ok' });
    expect(await finding('audit signature', { now: someMoment + 7_200_001 })).toMatchObject({ verdict: 'warn' });
    const key = await test.data.store.read((tx) => loadAuditKey(tx, test.vault, test.data.auditKey));
    await test.data.store.transaction((tx) => signAudit(tx, someMoment, key));
    expect(await finding('audit signature')).toMatchObject({ verdict: 'ok', found: 'up to record 2' });
  });
  it('finds a backup that is missing or old', async () => {
    expect(await finding('backup')).toMatchObject({ verdict: 'warn', found: 'none was made yet' });
    const row = { made_at: someMoment, sha256: '0'.repeat(64), size: 1 };
    await test.data.store.transaction((tx) => tx.insertInto('backup').values(row).execute());
    expect(await finding('backup')).toMatchObject({ verdict: 'ok', found: 'less than a day old' });
    expect(await finding('backup', { now: someMoment + 8 * day - 1 })).toMatchObject({
      verdict: 'ok',
      found: '7 days old',
    });
    expect(await finding('backup', { now: someMoment + 8 * day })).toMatchObject({
      verdict: 'warn',
      found: '8 days old',
    });
  });
  it('finds a client that does not take up new secrets', async () => {
    await test.add();
    const told = { next_sealed: systemRandom(40), next_since: 0, next_told_at: someMoment };
    await test.data.store.transaction((tx) => tx.updateTable('client').set(told).execute());
    const checks = async (now: number) => (await examine(test.data, null, now)).map((one) => one.check);
    expect(await checks(someMoment + 2 * day)).not.toContain('rotation');
    expect(await finding('rotation', { now: someMoment + 2 * day + 1 })).toMatchObject({
      verdict: 'warn',
      found: 'told new secrets and still uses the old: cloud',
    });
  });
  it('says ok of a server that is well', async () => {
    const findings = await examine(test.data, test.vault, someMoment);
    expect(findings.map((one) => one.verdict)).not.toContain('fault');
  });
});

describe('readTimeSync() and timeSyncFinding()', () => {
  /** A stand-in for systemd's timedatectl, which asks a bus that containers do not have. */
  function standIn(script: string): string {
    const path = join(test.folder, 'timedatectl');
    writeFileSync(path, `#!/bin/sh\n[ "$*" = 'show --property=NTPSynchronized --value' ] || exit 2\n${script}\n`);
    chmodSync(path, 0o700);
    return path;
  }
  it.each([
    ['echo yes', 'yes', 'ok'],
    ['echo no', 'no', 'warn'],
    ['echo perhaps', 'unknown', 'ok'],
    ['exit 1', 'unknown', 'ok'],
  ])('make of %j: %s, %s', async (script, answer, verdict) => {
    const sync = await readTimeSync(standIn(script));
    expect(sync).toBe(answer);
    expect(timeSyncFinding(sync).verdict).toBe(verdict);
  });
  it('do without the program', async () => {
    expect(await readTimeSync(join(test.folder, 'none'))).toBe('unknown');
  });
});

describe('serverIdentity()', () => {
  const identity = (now: number, hosts = test.data.config.hosts) =>
    serverIdentity(test.data.store, test.vault, hosts, now, systemRandom);

  it('keeps a certificate that fits', async () => {
    const first = await identity(someMoment);
    expect((await identity(someMoment + 366 * day)).certificate).toBe(first.certificate);
  });
  it('makes a new one within 30 days of the end, and for other hosts', async () => {
    const first = await identity(someMoment);
    const second = await identity(someMoment + 367 * day);
    expect(second.certificate).not.toBe(first.certificate);
    const third = await identity(someMoment + 367 * day, [...test.data.config.hosts, 'keys.example']);
    expect(third.certificate).not.toBe(second.certificate);
  });
});
