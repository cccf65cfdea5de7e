import { type Finding, info, ok, shellWord, warn } from './finding.ts';

export interface CachesEvidence {
  /** Whether the three settings are what Nextcloud works with. */
  readonly known: boolean;
  readonly local: string | null;
  readonly distributed: string | null;
  readonly locking: string | null;
  readonly sessionHandler: string | null;
  /** Settings files of a Redis that writes to the disk. */
  readonly persists: readonly string[];
  /** What it wrote. */
  readonly dumps: readonly string[];
}

/** Pure: what Nextcloud's caches and a Redis behind them write down. */
export function cachesFindings(evidence: CachesEvidence): Finding[] {
  const { known, local, distributed, locking, sessionHandler, persists, dumps } = evidence;
  const usesRedis = [local, distributed, locking].some((name) => name?.includes('Redis') === true);
  const sessions = sessionHandler?.startsWith('redis') === true;
  const found: Finding[] = [];
  if (local === null) {
    found.push(
      info('no_local_cache', known ? 'nextcloud has no local cache' : 'no local cache could be read from config.php', {
        why: 'it works, slowly; the app does not need it',
        fix: "occ config:system:set memcache.local --value '\\OC\\Memcache\\APCu'",
      }),
    );
  } else found.push(ok('local_cache', `local cache ${local.split('\\').at(-1)}`));
  const writes = persists.length > 0 || dumps.length > 0;
  if (sessions && writes) {
    found.push(
      warn('redis_sessions_on_disk', 'sessions are in a Redis that writes them to the disk', {
        why: 'those from before escrow may hold the opened key, locked by a cookie only',
        fix: `set save "" and appendonly no in its settings, restart it, then: rm -r ${dumps.map(shellWord).join(' ') || 'its dump.rdb'}`,
        seen: [...persists, ...dumps],
      }),
    );
  } else if (sessions) {
    found.push(
      info('redis_sessions', 'sessions are in a Redis; whether it writes them to a disk could not be seen here', {
        fix: 'redis-cli CONFIG GET save; redis-cli CONFIG GET appendonly',
      }),
    );
  } else if (usesRedis && writes) {
    found.push(
      info('redis_on_disk', 'caches are in a Redis that writes to the disk; the app puts no key there', {
        seen: [...persists, ...dumps],
      }),
    );
  } else if (usesRedis) found.push(ok('redis', 'caches in Redis, which the app does not use'));
  return found;
}
