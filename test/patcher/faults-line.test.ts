import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSshTarget } from '../../patcher/transports/ssh-target.ts';
import { openSshTransport } from '../../patcher/transports/ssh-transport.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { makeUser, sshdMissing, startSshd, type TestSshd } from '../harness/sshd.ts';
import { startSlowLine } from './slow-line.ts';

const missing = sshdMissing();
const FILES = 25_000;
/** A poor DSL line upstream. */
const BYTES_A_SECOND = 512 * 1024;

describe.skipIf(missing !== null)(`lines and accounts as they are${missing === null ? '' : ` (${missing})`}`, () => {
  let sshd: TestSshd;
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'lk-line-'));
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(async () => {
    await sshd.stop();
    rmSync(folder, { recursive: true });
  });

  const open = (user: string, port: number, sudo = false): Promise<Transport> =>
    openSshTransport({
      target: parseSshTarget(`${user}@127.0.0.1:${port}`),
      identity: sshd.identity,
      knownHosts: [join(folder, `known-${port}`)],
      acceptHostKey: sshd.fingerprint,
      sudo,
      prompter: null,
    });

  test('a sudo that wants a terminal is told from one that refuses', async () => {
    const user = makeUser({ sudo: 'free' });
    try {
      writeFileSync(
        `/etc/sudoers.d/${user.name}`,
        `Defaults:${user.name} requiretty\n${user.name} ALL=(ALL) NOPASSWD: ALL\n`,
      );
      await expect(open(user.name, sshd.port, true)).rejects.toMatchObject({ code: 'sudo_needs_tty' });
    } finally {
      user.remove();
    }
  });

  test('25,000 files over a slow line are listed and hashed to the last', { timeout: 300_000 }, async () => {
    for (let i = 0; i < FILES; i++) writeFileSync(join(folder, `a name of some length, number ${i}`), String(i % 100));
    const line = await startSlowLine(sshd.port, BYTES_A_SECOND);
    const transport = await open('root', line.port);
    try {
      const digest = await transport.treeDigest(folder);
      const files = [...(digest ?? [])].filter(([name]) => name.startsWith('a name'));
      expect([files.length, new Set(files.map(([, { sha256 }]) => sha256)).size]).toEqual([FILES, 100]);
      const entries = (await transport.list(folder)) ?? [];
      expect(entries.filter(({ name }) => name.startsWith('a name'))).toHaveLength(FILES);
    } finally {
      await transport.close();
      await line.close();
    }
  });
});
