import { describe, expect, test } from 'vitest';
import type { Facts } from '../../patcher/facts.ts';
import { listServers, setServers } from '../../patcher/keys/servers.ts';
import { exampleFacts } from './example-facts.ts';

const A = 'https://10.9.0.1:8443';
const B = 'https://127.0.0.1:8443';

const asked: string[][] = [];
const never = (): never => {
  throw new Error('must not be called');
};
const silent = { step: () => undefined, note: () => undefined };

function answering(value: unknown, exit = 0, stderr = '') {
  return async (args: readonly string[]) => {
    asked.push([...args]);
    return { exit, stdout: Buffer.from(value === null ? '' : `${JSON.stringify(value)}\n`), stderr };
  };
}

function facts(changes: Partial<Facts> = {}): Facts {
  const base = exampleFacts();
  const files = { path: '/apps/remotekeystorage', version: '1.0.0' } as unknown as Facts['app']['files'];
  return {
    ...base,
    app: { ...base.app, state: 'enrolled', enabled: true, files },
    enrolment: { directory: '/d', clientId: 'client-1', urls: [A], keys: [] },
    ...changes,
  };
}
const order = (urls: readonly string[], unchecked = false) => ({ urls, unchecked });

describe('setServers()', () => {
  test.each([
    [[]],
    [['http://10.9.0.1']],
    [['https://u:p@10.9.0.1']],
    [['https://10.9.0.1/path']],
    [['10.9.0.1']],
    [[A, 'ftp://x']],
    [[A, A]],
    [[A, `${A}/`]],
    [Array.from({ length: 9 }, (_, i) => `https://10.9.0.${i + 1}`)],
  ])('refuses %j before the server is asked', async (urls) => {
    const attempt = setServers(facts(), order(urls), { occ: never, progress: silent });
    await expect(attempt).rejects.toMatchObject({ code: 'invalid_url', exit: 2 });
  });

  test('asks nothing of a server that is not enrolled, or whose app is off', async () => {
    const deps = { occ: never, progress: silent };
    for (const act of [(f: Facts) => setServers(f, order([A]), deps), (f: Facts) => listServers(f, deps)]) {
      await expect(act(facts({ enrolment: null }))).rejects.toMatchObject({ code: 'not_enrolled', exit: 3 });
      await expect(act(exampleFacts())).rejects.toMatchObject({ code: 'app_not_loaded', exit: 3 });
    }
  });

  test('tells what the app refuses under its own code', async () => {
    const error = { code: 'tls_failed', message: `${A}: could not prove itself`, hint: 'look' };
    const attempt = setServers(facts(), order([A]), { occ: answering({ error }, 1), progress: silent });
    await expect(attempt).rejects.toMatchObject({ code: 'tls_failed', hint: 'look' });
  });

  test('an app of before says that it is too old', async () => {
    const old = answering(null, 1, '\n  Command "remotekey:servers" is not defined.  \n');
    const attempt = setServers(facts(), order([A]), { occ: old, progress: silent });
    await expect(attempt).rejects.toMatchObject({ code: 'app_too_old', exit: 3 });
    const broken = setServers(facts(), order([A]), { occ: answering(null, 255, 'PHP Fatal'), progress: silent });
    await expect(broken).rejects.toMatchObject({ code: 'occ_failed' });
  });

  test('hands over each address in order, without a slash at its end', async () => {
    asked.length = 0;
    const report = { urls: [B, A], changed: true, unchecked: [A] };
    const deps = { occ: answering(report), progress: silent };
    expect(await setServers(facts(), order([`${B}/`, A], true), deps)).toEqual(report);
    await setServers(facts(), order([A]), deps);
    await listServers(facts(), deps);
    expect(asked).toEqual([
      ['remotekey:servers', `--set=${B}`, `--set=${A}`, '--unchecked', '--output=json'],
      ['remotekey:servers', `--set=${A}`, '--output=json'],
      ['remotekey:servers', '--output=json'],
    ]);
  });
});
