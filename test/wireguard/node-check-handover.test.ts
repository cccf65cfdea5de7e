import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdFile } from '../../platform/sqlite-lock.ts';
import { type AlertTeller, alertTellers } from '../../wireguard/node/check-channel.ts';
import { handOver } from '../../wireguard/node/check-handover.ts';
import { NO_CHECK_YET, readCheckState, type WaitingNotice, writeCheckState } from '../../wireguard/node/check-state.ts';
import { addNodeCommands } from '../../wireguard/node/commands.ts';
import { runCommandHere } from '../harness/command-runner.ts';
import { freePort } from '../harness/free-port.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-handover-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const START = 1_700_000_000_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const waits = (id: string, to: string): WaitingNotice => {
  return { id, to, event: 'interface_down', over: false, subject: 'wg0', said: 'wg0 is down', at: START, lasted: null };
};
const idOf = ({ id }: { readonly id: string }) => id.split(' ').at(-1);
const hangs = (name: string): AlertTeller => ({
  name,
  look: () => undefined,
  tell: (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
});
function takes(name: string, isTaken: (id: string | undefined) => boolean = () => true) {
  const tried: (string | undefined)[] = [];
  const tell: AlertTeller['tell'] = async (notice) => {
    tried.push(idOf(notice));
    if (!isTaken(idOf(notice))) throw new Error('not taken');
  };
  return { tried, teller: { name, look: () => undefined, tell } };
}

describe('handOver()', () => {
  it('keeps what was told as told while another way out hangs, and ends with the time of a round', async () => {
    const [good, kept] = [takes('good'), [] as (string | undefined)[][]];
    const waiting = [waits('a', 'hangs'), waits('a', 'good'), waits('b', 'good'), waits('b', 'hangs')];
    const { left, failures } = await handOver(waiting, [hangs('hangs'), good.teller], 'office', {
      now: () => START,
      keep: (all) => void kept.push(all.map(({ to, id }) => `${to} ${id}`)),
      limitMs: 200,
    });
    expect(kept).toEqual([
      ['hangs a', 'good b', 'hangs b'],
      ['hangs a', 'hangs b'],
      ['hangs a', 'hangs b'],
    ]);
    expect(good.tried).toEqual(['a', 'b']);
    expect(left.map(({ failed }) => failed)).toEqual([{ tries: 1, since: START, at: START }, undefined]);
    expect(failures).toHaveLength(1);
  });

  it('tries what is refused less and less often, lets others pass, and drops it after a day', async () => {
    const { tried, teller } = takes('mail', (id) => id !== 'bad');
    let [waiting, now]: [readonly WaitingNotice[], number] = [[waits('bad', 'mail'), waits('good', 'mail')], START];
    const round = async () => {
      const handed = await handOver(waiting, [teller], 'office', { now: () => now, keep: () => undefined });
      waiting = handed.left;
      now += MINUTE;
      return handed.dropped.map(idOf);
    };
    for (let at = 0; at < 4; at += 1) expect(await round()).toEqual([]);
    expect(tried).toEqual(['bad', 'bad', 'bad', 'good']);
    const dropped: (string | undefined)[] = [];
    while (now < START + DAY + 60 * MINUTE) dropped.push(...(await round()));
    expect(dropped).toEqual(['bad']);
    expect(waiting).toEqual([]);
    expect(tried.length).toBeLessThan(70); // of 1440 rounds
  });

  it('waits for no clock that was set back, and gives nothing up as one has leapt', async () => {
    const { tried, teller } = takes('mail', () => false);
    const failed = { tries: 4, since: START, at: START };
    const by = (now: number, tries = 4) =>
      handOver([{ ...waits('a', 'mail'), failed: { ...failed, tries } }], [teller], 'office', {
        now: () => now,
        keep: () => undefined,
      });
    expect((await by(START + MINUTE)).failures).toEqual([]);
    expect(tried).toEqual([]);
    expect((await by(START - DAY)).left).toMatchObject([{ failed: { tries: 5, since: START - DAY } }]);
    expect((await by(START + 2 * DAY, 1)).dropped).toEqual([]);
    expect((await by(START + 2 * DAY)).dropped).toHaveLength(1);
  });

  it('is not kept by a mail server that says nothing', async () => {
    const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const path = join(folder, 'mail.json');
    const { port } = silent.address() as AddressInfo;
    const mail = { kind: 'email', host: '127.0.0.1', port, tls: 'none', from: 'a@example.org', to: ['b@example.org'] };
    writeFileSync(path, JSON.stringify(mail), { mode: 0o600 });
    const tellers = alertTellers(null, [path], { mail: 200, other: 60_000 });
    const handed = await handOver([waits('a', path)], tellers, 'office', { now: () => START, keep: () => undefined });
    expect(handed.failures).toMatchObject([{ message: 'the mail server did not answer in time' }]);
    silent.close();
  });
});

describe('wgnode check', () => {
  const wgnode = (...argv: string[]) => runCommandHere(addNodeCommands, argv, { program: 'wgnode' });
  const check = async (state: string, ...words: string[]) =>
    wgnode('check', '--keyserver', `https://127.0.0.1:${await freePort()}`, '--state', state, ...words);

  it('does not run beside another with the same state, and holds nothing when it ends', async () => {
    const state = join(folder, 'held', 'check.json');
    await check(state);
    const before = readCheckState(state, () => undefined);
    expect(statSync(`${state}.lock`).mode & 0o777).toBe(0o600);
    const letGo = holdFile(`${state}.lock`);
    const refused = await check(state);
    expect(refused).toMatchObject({ exit: 3, stdout: '' });
    expect(refused.stderr).toContain(`another check is at work with ${state}`);
    expect(readCheckState(state, () => undefined)).toEqual(before);
    letGo?.();
    for (const _ of [1, 2]) expect((await check(state)).exit).toBe(1);
  });

  it('takes over from one that died', async () => {
    const path = join(folder, 'dead.lock');
    const place = JSON.stringify(new URL('../../platform/sqlite-lock.ts', import.meta.url).href);
    const script = `(await import(${place})).holdFile(process.argv[1]); console.log('held'); setInterval(() => 0, 1000)`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    expect(holdFile(path)).toBeNull();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const letGo = holdFile(path);
    expect(letGo).not.toBeNull();
    letGo?.();
  });

  it('says of a lock that cannot be made which it is', async () => {
    writeFileSync(join(folder, 'plain'), '');
    const said = await check(join(folder, 'plain', 'check.json'));
    expect(said.stderr).toContain('could not be written');
    expect(() => holdFile(join(folder, 'nowhere', 'lock'))).toThrow('could not be locked (ENOENT)');
    expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  });

  it('reports all the same when a way out breaks as nobody thought of', async () => {
    const channel = join(folder, 'odd.json');
    writeFileSync(channel, JSON.stringify({ kind: 'command', argv: ['/bin/true', 'a\0b'] }), { mode: 0o600 });
    const state = join(folder, 'odd', 'check.json');
    const said = await check(state, '--bad-rounds', '1', '--alert-channel', channel, '--json');
    expect(said.exit).toBe(1);
    expect(said.stderr).toContain('something broke that should not have; alerts that are tried again: 1\n');
    expect(JSON.parse(said.stdout)).toMatchObject({ findings: [{ level: 'critical' }], undelivered: 1 });
    const tried = await wgnode('check', 'try', '--alert-channel', channel);
    expect(tried).toMatchObject({ exit: 1, stdout: `failed ${channel}: something broke that should not have\n` });
  });

  it('keeps between two rounds how often something was not taken', () => {
    const path = join(folder, 'kept.json');
    const waiting = [{ ...waits('a', 'command'), failed: { tries: 3, since: START, at: START + 1 } }];
    writeCheckState(path, { ...NO_CHECK_YET, waiting });
    expect(readCheckState(path, () => undefined).waiting).toEqual(waiting);
  });
});
