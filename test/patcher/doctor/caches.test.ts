import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CachesEvidence, cachesFindings } from '../../../patcher/doctor/caches.ts';
import { probeRedis } from '../../../patcher/doctor/caches-probe.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';

const REDIS = '\\OC\\Memcache\\Redis';
const found = (changes: Partial<CachesEvidence>) =>
  cachesFindings({
    ...{ known: true, local: '\\OC\\Memcache\\APCu', distributed: null, locking: null },
    ...{ sessionHandler: 'files', persists: [], dumps: [] },
    ...changes,
  }).map(({ code, level }) => `${level} ${code}`);

test.each([
  [{}, ['ok local_cache']],
  [{ local: null }, ['info no_local_cache']],
  [{ local: null, known: false }, ['info no_local_cache']],
  [{ locking: REDIS }, ['ok local_cache', 'ok redis']],
  [{ locking: REDIS, persists: ['/etc/redis/redis.conf'] }, ['ok local_cache', 'info redis_on_disk']],
  [{ persists: ['/etc/redis/redis.conf'] }, ['ok local_cache']],
  [{ sessionHandler: 'redis' }, ['ok local_cache', 'info redis_sessions']],
  [{ sessionHandler: 'redis', dumps: ['/var/lib/redis/dump.rdb'] }, ['ok local_cache', 'warn redis_sessions_on_disk']],
] satisfies [Partial<CachesEvidence>, string[]][])('%j gives %j', (changes, expected) => {
  expect(found(changes)).toEqual(expected);
});

describe('the look at Redis', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'lk-redis-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const look = async (settings: string) => {
    mkdirSync(dirname(join(root, 'etc/redis/redis.conf')), { recursive: true });
    writeFileSync(join(root, 'etc/redis/redis.conf'), settings);
    return probeRedis(await openLocalTransport({ prompter: null }), root);
  };

  test.each([
    ['port 0\n', true],
    ['save 900 1\n', true],
    ['save ""\n', false],
    ['# save 900 1\nsave ""\nappendonly no\n', false],
    ['save ""\nappendonly yes\n', true],
  ])('%j writes to the disk: %j, as it does unless told otherwise', async (settings, writes) => {
    expect((await look(settings)).persists).toEqual(writes ? [join(root, 'etc/redis/redis.conf')] : []);
  });

  test('finds what was written', async () => {
    mkdirSync(join(root, 'var/lib/redis'), { recursive: true });
    writeFileSync(join(root, 'var/lib/redis/dump.rdb'), 'sessions');
    expect((await look('save ""\n')).dumps).toEqual([join(root, 'var/lib/redis/dump.rdb')]);
  });
});
