import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Action } from '../../patcher/actions/action.ts';
import { makeDirectory } from '../../patcher/actions/make-directory.ts';
import { removePath } from '../../patcher/actions/remove-path.ts';
import { runOcc } from '../../patcher/actions/run-occ.ts';
import { uploadTree } from '../../patcher/actions/upload-tree.ts';
import { writeFile } from '../../patcher/actions/write-file.ts';
import { type Journal, openJournal } from '../../patcher/journal/journal.ts';
import { openSshTransport } from '../../patcher/transports/ssh-transport.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { type CuttableLine, sshdMissing, startCuttableLine, startSshd, type TestSshd } from '../harness/sshd.ts';

const missing = sshdMissing();
const owner = { uid: 0, gid: 0 };

describe.skipIf(missing !== null)(`a journal over a real sshd${missing === null ? '' : ` (${missing})`}`, () => {
  let sshd: TestSshd;
  let line: CuttableLine;
  let known: string;
  let at: string;
  let serial = 0;

  beforeAll(async () => {
    sshd = await startSshd();
    line = await startCuttableLine(sshd.port);
    known = join(sshd.folder, 'known-line');
    writeFileSync(known, `[127.0.0.1]:${line.port} ${sshd.hostKey}\n`);
  });
  afterAll(async () => {
    await line.close();
    await sshd.stop();
  });
  beforeEach(() => {
    at = mkdtempSync(join(tmpdir(), 'latchkey-journal-'));
    chmodSync(at, 0o755);
    mkdirSync(join(at, 'apps', 'app', 'lib'), { recursive: true });
    writeFileSync(join(at, 'apps', 'app', 'lib', 'a.php'), 'old a');
    writeFileSync(join(at, 'apps', 'app', 'gone.php'), 'gone');
    mkdirSync(join(at, 'trash'));
    writeFileSync(join(at, 'trash', 'x'), 'x');
    writeFileSync(join(at, 'conf'), 'old conf');
  });
  vi.setConfig({ testTimeout: 90_000 });
  afterEach(() => rmSync(at, { recursive: true, force: true }));

  const connect = () =>
    openSshTransport({
      target: { user: 'root', host: '127.0.0.1', port: line.port },
      identity: sshd.identity,
      knownHosts: [known],
      prompter: null,
    });

  const open = (transport: Transport): Promise<Journal> =>
    openJournal({
      context: { transport, machine: transport, occ: (args) => transport.run(['sh', '-c', OCC, 'occ', at, ...args]) },
      directory: join(at, 'journal', 'oc1'),
      by: { user: 'me', machine: 'desk', pid: process.pid },
      now: Date.now,
      randomId: () => (++serial).toString(16).padStart(16, '0'),
    });

  /** Slow on purpose, so that a line breaks while it is at work. */
  const OCC = 'sleep 0.3; if [ "$2" = on ]; then echo on >"$1/switch"; else rm -f "$1/switch"; fi';

  const actions = (): Action[] => [
    writeFile({ path: join(at, 'conf'), data: Buffer.alloc(150_000, 'new conf '), mode: 0o640, ...owner }),
    makeDirectory({ path: join(at, 'state'), mode: 0o700, ...owner }),
    writeFile({ path: join(at, 'state', 'file'), data: Buffer.from('state'), mode: 0o600, ...owner }),
    uploadTree({
      path: join(at, 'apps', 'app'),
      files: [
        { path: 'lib/a.php', data: Buffer.alloc(200_000, 'new a '), mode: 0o644 },
        { path: 'lib/b.php', data: Buffer.from('new b'), mode: 0o644 },
      ],
      mode: 0o755,
      ...owner,
    }),
    runOcc({ args: ['on'], inverse: ['off'], already: async () => existsSync(join(at, 'switch')) }),
    removePath(join(at, 'trash')),
  ];

  async function apply(): Promise<string[]> {
    const transport = await connect();
    try {
      const journal = await open(transport);
      await journal.recover();
      await journal.begin('apply');
      const results: string[] = [];
      for (const action of actions()) results.push(await journal.perform(action));
      await journal.commit();
      await journal.close();
      return results;
    } finally {
      await transport.close();
    }
  }

  async function recover(): Promise<string> {
    const transport = await connect();
    const journal = await open(transport);
    const { outcome, left } = await journal.recover();
    expect(left).toEqual([]);
    await journal.close();
    await transport.close();
    return outcome;
  }

  /** Names, modes and contents of all there is, but for the journal. */
  function look(): string {
    const list =
      "find . -path ./journal -prune -o -printf '%p %m %U:%G\\n' | sort; find . -path ./journal -prune -o -type f -print0 | sort -z | xargs -0 sha256sum";
    return execFileSync('sh', ['-c', list], { cwd: at, encoding: 'utf8' });
  }

  test('applies, and a second time changes nothing', async () => {
    expect(await apply()).toEqual(Array(6).fill('done'));
    const after = look();
    expect(await apply()).toEqual(Array(6).fill('unchanged'));
    expect(look()).toBe(after);
    expect(readdirSync(join(at, 'journal', 'oc1')).filter((name) => !name.endsWith('.jsonl'))).toEqual(['running']);
  });

  test('a line cut after any number of bytes leaves all or nothing after the next run', async () => {
    const before = look();
    const outcomes: string[] = [];
    for (const bytes of [3_000, 15_000, 40_000, 120_000, 250_000, 400_000, 480_000]) {
      line.cutAfter(bytes);
      const cut = await apply().then(
        () => false,
        (error: unknown) => isLatchkeyError(error, 'connection_lost') || isLatchkeyError(error, 'connect_failed'),
      );
      line.cutAfter(Number.POSITIVE_INFINITY);
      outcomes.push(cut ? await recover() : 'whole');
      if (look() !== before) break;
    }
    expect(outcomes.filter((outcome) => outcome === 'undone').length, outcomes.join()).toBeGreaterThan(2);
    await apply();
    expect(readFileSync(join(at, 'apps', 'app', 'lib', 'b.php'), 'utf8')).toBe('new b');
    expect(readdirSync(join(at, 'apps'))).toEqual(['app']);
    expect(existsSync(join(at, 'trash'))).toBe(false);
  }, 180_000);

  test('a command that goes on after its line broke is waited for before it is undone', async () => {
    const before = look();
    const transport = await connect();
    const journal = await open(transport);
    await journal.begin('apply');
    const slow = runOcc({ args: ['on'], inverse: ['off'] });
    setTimeout(() => line.cut(), 250);
    await expect(journal.perform(slow)).rejects.toMatchObject({ code: 'connection_lost' });
    expect(await recover()).toBe('undone');
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(look()).toBe(before);
  });

  test('a private key on the target is in no file of the journal', async () => {
    const key = 'PRIVATE-KEY-CANARY';
    mkdirSync(join(at, 'trash', 'files_encryption'));
    writeFileSync(join(at, 'trash', 'files_encryption', 'master_1.privateKey'), key);
    await expect(apply()).rejects.toMatchObject({ code: 'private_key_refused' });
    expect(await recover()).toBe('undone');
    expect(() => execFileSync('grep', ['-r', key, join(at, 'journal')], { stdio: 'pipe' })).toThrow();
    expect(readFileSync(join(at, 'trash', 'files_encryption', 'master_1.privateKey'), 'utf8')).toBe(key);
  });
});
