import type { Facts } from '../facts.ts';
import { obstaclesOf } from '../obstacles.ts';
import { bad, type Finding, type Group, warn } from './finding.ts';

/** Obstacles that another decider tells from better evidence. */
const TOLD_ELSEWHERE = new Set([
  ...['exception_args_logged', 'sessions_on_disk', 'apcu_missing', 'maintenance_mode', 'encryption_off', 'user_keys'],
  ...['snap_keeps_copies', 'cache_is_redis', 'opcache_on_disk'],
]);

/** Subjects of those that do not belong to Nextcloud as a whole. */
const GROUP_OF: Readonly<Record<string, Group>> = {
  not_root: 'ncpatch',
  php_too_old: 'php',
  php_extension_missing: 'php',
  web_php_unknown: 'php',
  php_versions_differ: 'php',
  opcache_slow: 'php',
  no_scheduler: 'credentials',
  heartbeat_program_missing: 'credentials',
  state_of_one_revision: 'credentials',
  state_in_unnamed_volume: 'credentials',
  state_read_only: 'credentials',
  state_would_vanish: 'credentials',
  companion_without_state: 'credentials',
  selinux_enforcing: 'network',
  master_key_id_lost: 'release',
  master_key_missing: 'release',
  nextcloudpi_backups: 'copies',
};

/** Pure: what stands in the way of `apply`, by subject. What blocks is bad here. */
export function hindrances(facts: Facts): ReadonlyMap<Group, readonly Finding[]> {
  const found = obstaclesOf(facts).filter(({ code }) => !TOLD_ELSEWHERE.has(code));
  const grouped = Map.groupBy(found, ({ code }) => GROUP_OF[code] ?? 'nextcloud');
  return new Map(
    [...grouped].map(([group, obstacles]) => [
      group,
      obstacles.map(({ code, message, hint, blocking }) => (blocking ? bad : warn)(code, message, { fix: hint })),
    ]),
  );
}
