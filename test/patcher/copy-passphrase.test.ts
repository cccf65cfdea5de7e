import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyPassphrase } from '../../patcher/keys/copy-passphrase.ts';
import { sealOwnerCopy } from '../../patcher/keys/owner-copy.ts';
import { systemRandom } from '../../platform/clock.ts';

const RIGHT = 'correct horse battery';
const CTRL_C = '\u0003';

describe('the passphrase of an owner’s copy', () => {
  let folder: string;
  let copy: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-copy-passphrase-'));
    copy = join(folder, 'copy.json');
    const about = { instanceId: 'oc1234567890', clientId: 'lk-1', made: new Date(0) };
    writeFileSync(copy, await sealOwnerCopy({ 'master_1.privateKey': Buffer.from('k') }, about, RIGHT, systemRandom));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Somebody at a terminal who answers each question with the next of these. */
  function person(...answers: string[]) {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const notes: string[] = [];
    let shown = '';
    stderr.on('data', (chunk: Buffer) => {
      shown += chunk.toString('utf8');
      if (!chunk.toString('utf8').endsWith(': ')) return;
      const answer = answers.shift() ?? CTRL_C;
      setImmediate(() => stdin.write(answer === CTRL_C ? answer : `${answer}\n`));
    });
    const terminal = { stdin: Object.assign(stdin, { isTTY: true }), stdout, stderr, env: {} };
    const ask = (kind: 'new' | 'known', path = copy) =>
      copyPassphrase(kind, { terminal, source: undefined, path, note: (text) => notes.push(text) });
    return { ask, notes, shown: () => shown };
  }

  it('is asked for again when it was mistyped, or is too short', async () => {
    const { ask, notes, shown } = person('', '', RIGHT, 'something else', RIGHT, RIGHT);
    expect(await ask('new')).toBe(RIGHT);
    expect(notes).toEqual([
      'the passphrase must have at least 12 characters: once more',
      'the two passphrases differ: once more',
    ]);
    expect(shown()).not.toContain('horse');
  });

  it('is asked for again when the copy that is there does not open by it', async () => {
    const { ask, notes } = person('a wrong one, it is', RIGHT);
    expect(await ask('known')).toBe(RIGHT);
    expect(notes).toEqual([expect.stringMatching(/^the copy does not open: .*: once more$/)]);
  });

  it('is no longer asked for after Ctrl-C, and who pressed it is told how it goes on', async () => {
    await expect(person(CTRL_C).ask('new')).rejects.toMatchObject({
      code: 'cancelled',
      hint: 'the same command goes on with it',
    });
    await expect(person('a wrong one, it is', CTRL_C).ask('known')).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is not asked for where there is no copy that it could open', async () => {
    const { ask, shown } = person(RIGHT);
    await expect(ask('known', join(folder, 'none.json'))).rejects.toMatchObject({ code: 'file_not_read', exit: 2 });
    expect(shown()).toBe('');
  });

  it.each([
    ['new', 'short', 'passphrase_too_short'],
    ['known', 'a wrong one, it is', 'copy_not_opened'],
  ] as const)('is refused when a file holds the wrong one, for a copy that is %s', async (kind, text, code) => {
    const source = join(folder, `${kind}-passphrase`);
    writeFileSync(source, `${text}\n`, { mode: 0o600 });
    const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} };
    const asked = copyPassphrase(kind, { terminal: streams, source, path: copy, note: () => undefined });
    await expect(asked).rejects.toMatchObject({ code });
  });
});
