import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { databaseFile, killFile } from '../../keyserver/data-directory.ts';
import { examine } from '../../keyserver/doctor.ts';
import { guardStore } from '../../keyserver/guarded-store.ts';
import { loadAuditKey, serverIdentity } from '../../keyserver/server-secrets.ts';
import { Vault } from '../../keyserver/vault.ts';
import { signAudit } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
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
  it('says ok of a server that is well', async () => {
    const findings = await examine(test.data, test.vault, someMoment);
    expect(findings.map((one) => one.verdict)).not.toContain('fault');
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
