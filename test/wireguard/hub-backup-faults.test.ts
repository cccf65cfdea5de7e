import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { secretEnvelope, secretOpener } from '../../platform/backup/envelope.ts';
import { systemRandom } from '../../platform/clock.ts';
import { type RunResult, run } from '../../platform/run.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { makeHubBackup } from '../../wireguard/backup/hub-backup.ts';
import { restoreHub } from '../../wireguard/backup/hub-restore.ts';
import { withHubData } from '../../wireguard/data/hub-data.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { type MadeHub, makeHub, momentOf, urlFileIn } from './made-hub.ts';
import { startRunningHub } from './running-hub.ts';

const main = new URL('../../wireguard/main.ts', import.meta.url).pathname;
const argv = (...words: string[]) =>
  [process.execPath, '--disable-warning=ExperimentalWarning', main, ...words] as const;
const wghub = (...words: string[]): Promise<RunResult> =>
  run([...argv(...words)], { timeoutMs: 60_000, allowExit: 'any' });

let hub: MadeHub;
beforeEach(async () => {
  hub = await makeHub();
});
afterEach(() => hub.remove());
const words = (out: string) => ['backup', '--data', hub.at('hub'), '--out', out, '--backup-keyfile', hub.backupKeyfile];
const restored = async (from: string, name = 'restored') => {
  const opener = secretOpener(keyfileMethod(hub.backupKeyfile));
  const order = { from, path: hub.at(name), opener, sealedWith: 'keyfile' as const, database: null };
  await restoreHub(order, { now: 1, env: {} });
};

/** A small disk; `null` where this process may not mount any. */
async function smallDisk(folder: string, size: string): Promise<(() => Promise<unknown>) | null> {
  mkdirSync(folder);
  const options = { timeoutMs: 10_000, allowExit: 'any' as const };
  const mounted = await run(['mount', '-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'small', folder], options).catch(
    () => null,
  );
  return mounted?.exit === 0 ? () => run(['umount', folder], options) : null;
}

describe('wghub backup', () => {
  it('says that the disk of the backup is full, and leaves nothing there', async (context) => {
    const unmount = await smallDisk(hub.at('small'), '100k');
    if (unmount === null) return context.skip();
    try {
      const said = await wghub(...words(hub.at('small/one.backup')));
      expect(said).toMatchObject({ exit: 1, stderr: expect.stringContaining('is the disk full?') });
      expect(said.stderr).toContain('(ENOSPC)');
      expect(readdirSync(hub.at('small'))).toEqual([]);
      expect((await hub.events()).at(-1)).toBe('backup_failed');
    } finally {
      await unmount();
    }
  });

  it('does not begin where it would fill the hub’s own disk', async (context) => {
    const unmount = await smallDisk(hub.at('small'), '8m');
    if (unmount === null) return context.skip();
    try {
      cpSync(hub.at('hub'), hub.at('small/hub'), { recursive: true });
      chmodSync(hub.at('small/hub'), 0o700);
      const secret = ['--backup-keyfile', hub.backupKeyfile];
      const said = await wghub('backup', '--data', hub.at('small/hub'), '--out', hub.at('one.backup'), ...secret);
      expect(said).toMatchObject({ exit: 3, stderr: expect.stringContaining('a backup needs') });
      expect(existsSync(hub.at('one.backup'))).toBe(false);
      expect(readdirSync(hub.at('small/hub')).filter((name) => name.startsWith('.backup'))).toEqual([]);
    } finally {
      await unmount();
    }
  });

  it('that is killed leaves no file that looks whole, and the next one takes away what it left', async () => {
    const noise = 'x'.repeat(200_000);
    await hub.data.store.transaction(async (tx) => {
      for (let number = 0; number < 60; number += 1) {
        const row = { id: `${number}`, name: `${number}`, token_hash: Buffer.from(`${number}`), created_at: 1 };
        await tx
          .insertInto('api_token')
          .values({ ...row, scopes: JSON.stringify([noise]) })
          .execute();
      }
    });
    const target = hub.at('one.backup');
    const partial = `${target}.partial`;
    for (const wanted of [1, 10_000_000]) {
      const backup = await BackgroundProcess.start(argv(...words(target)));
      while ((statSync(partial, { throwIfNoEntry: false })?.size ?? 0) < wanted) await delay(1);
      await backup.kill();
      expect(readdirSync(hub.folder).filter((name) => name.startsWith('one.'))).toEqual(['one.backup.partial']);
      expect(readdirSync(hub.at('hub')).filter((name) => name.startsWith('.backup-'))).toHaveLength(1);
    }
    expect((await wghub(...words(target))).exit).toBe(0);
    expect(readdirSync(hub.folder).filter((name) => name.startsWith('one.'))).toEqual(['one.backup']);
    expect(readdirSync(hub.at('hub')).filter((name) => name.startsWith('.backup-'))).toEqual([]);
    await restored(target);
  });
});

describe('makeHubBackup()', () => {
  it('takes away what a killed one wrote down as its own, and nothing that only looks like it', async () => {
    const names = ['left.partial', 'precious', 'alive.partial'];
    const pids = ['4194304', '4194303', String(process.ppid)];
    for (const [index, name] of names.entries()) {
      writeFileSync(hub.at(name), 'x');
      mkdirSync(hub.at(`hub/.backup-${pids[index]}`));
      writeFileSync(hub.at(`hub/.backup-${pids[index]}/partial`), hub.at(name));
    }
    const envelope = secretEnvelope(keyfileMethod(hub.backupKeyfile), systemRandom);
    await makeHubBackup(hub.data, hub.at('one.backup'), { envelope, sealedWith: 'keyfile' }, 1);
    expect(names.map((name) => existsSync(hub.at(name)))).toEqual([false, true, true]);
    expect(pids.map((pid) => existsSync(hub.at(`hub/.backup-${pid}`)))).toEqual([false, false, true]);
  });

  it('leaves the unfinished file of somebody else alone', async () => {
    writeFileSync(hub.at('one.backup.partial'), 'another program’s');
    const envelope = secretEnvelope(keyfileMethod(hub.backupKeyfile), systemRandom);
    const attempt = makeHubBackup(hub.data, hub.at('one.backup'), { envelope, sealedWith: 'keyfile' }, 1);
    await expect(attempt).rejects.toMatchObject({ code: 'file_exists' });
    expect(readFileSync(hub.at('one.backup.partial'), 'utf8')).toBe('another program’s');
  });
});

describe.each(['SQLite', 'PostgreSQL'])('a backup beside a hub on %s that makes 500 peers meanwhile', (kind) => {
  it.skipIf(kind === 'PostgreSQL' && postgresMissing() !== null)('is of one moment', async () => {
    const postgres = kind === 'SQLite' ? null : await TestPostgres.start();
    const urlFile = postgres === null ? null : urlFileIn(hub.folder, await postgres.newDatabase());
    const running = await startRunningHub({
      tokens: [{ name: 'backend', scopes: ['devices'] }],
      interface: { networks: ['10.9.0.0/22'], addresses: ['10.9.0.1/22'] },
      config: { database: urlFile === null ? null : { urlFile } },
    });
    try {
      let made = 0;
      const caller = async (_: unknown, at: number) => {
        while (made < 500) {
          const body = { user_id: `user ${at}`, device_name: `device ${made++}` };
          const { status } = await running.request('POST', '/api/create-peer', { token: 'backend', body });
          expect(status).toBe(201);
        }
      };
      const callers = Promise.all(Array.from({ length: 8 }, caller));
      const secret = ['--backup-keyfile', hub.backupKeyfile];
      const from = running.data.directory;
      const counts: number[] = [];
      for (let number = 0; number === 0 || (made < 500 && number < 2); number += 1) {
        const out = hub.at(`${number}.backup`);
        expect(await wghub('backup', '--data', from, '--out', out, ...secret)).toMatchObject({ exit: 0 });
        await restored(out, `restored-${number}`);
        const moment = await withHubData(hub.at(`restored-${number}`), {}, momentOf);
        expect(moment).toMatchObject({ told: moment.peers, places: true });
        counts.push(moment.peers);
      }
      await callers;
      expect(counts.some((count) => count > 0 && count < 500)).toBe(true);
      const { peers, told, places } = await momentOf(running.data);
      expect({ atLeast: peers >= 500, told, places }).toEqual({ atLeast: true, told: peers, places: true });
    } finally {
      await running.stop();
      await postgres?.stop();
    }
  });
});
