import type { Transport } from '../transports/transport.ts';
import type { CachesEvidence } from './caches.ts';
import type { Patient } from './patient.ts';
import { PROBE_START, runProbe } from './probe-answer.ts';
import { textOf } from './settings.ts';

/** $1 folder put before all paths. Of Redis: whether its settings have it write to a disk, and the files it wrote. */
const LOOK = `${PROBE_START}
at=$1
for one in "$at"/etc/redis/*.conf "$at"/etc/redis.conf "$at"/etc/valkey/*.conf "$at"/var/snap/nextcloud/current/redis/redis.conf; do
  [ -f "$one" ] || continue
  if grep -qE '^[[:space:]]*save[[:space:]]+("")?[[:space:]]*$' "$one"; then save=no
  else save=yes; fi
  grep -qE '^[[:space:]]*appendonly[[:space:]]+yes' "$one" && save=yes
  rec settings "$save" "$one"
done
for one in "$at"/var/lib/redis/*.rdb "$at"/var/lib/redis/*/*.rdb "$at"/var/lib/redis/appendonlydir "$at"/var/lib/redis/*.aof \\
  "$at"/var/lib/valkey/*.rdb "$at"/data/dump.rdb "$at"/var/snap/nextcloud/current/redis/dump.rdb; do
  [ -e "$one" ] && rec dump "$(stat -c %Y "$one")" "$one"
done
:
`;

export async function probeCaches(patient: Patient): Promise<CachesEvidence> {
  const { settings, facts, files, machine } = patient;
  const redis = await probeRedis(machine);
  const inside = files === machine ? { persists: [], dumps: [] } : await probeRedis(files);
  return {
    known: facts !== null || settings.source === 'occ',
    local: textOf(settings, 'memcache.local'),
    distributed: textOf(settings, 'memcache.distributed'),
    locking: textOf(settings, 'memcache.locking'),
    sessionHandler: patient.web?.sessionHandler ?? null,
    persists: [...redis.persists, ...inside.persists],
    dumps: [...redis.dumps, ...inside.dumps],
  };
}

export async function probeRedis(transport: Transport, root = ''): Promise<Pick<CachesEvidence, 'persists' | 'dumps'>> {
  const seen = await runProbe(transport, LOOK, [root]);
  return {
    persists: seen.filter(({ kind, value }) => kind === 'settings' && value === 'yes').map(({ path }) => path),
    dumps: seen.filter(({ kind }) => kind === 'dump').map(({ path }) => path),
  };
}
