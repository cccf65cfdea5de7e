import type { Transport } from '../transports/transport.ts';
import type { CoreDumps, MemoryEvidence, SwapArea, WorkerSeen } from './memory.ts';
import { count, PROBE_START, recorded, runProbe, type Seen } from './probe-answer.ts';

/**
 * $1 folder put before all paths, '' on a real machine. Swap areas with what they end on (`zram`, `crypt`, `clear`);
 * where core dumps go; up to 64 processes that run PHP, with their core limit and whether they can be dumped; core files.
 */
const LOOK = `${PROBE_START}
at=$1
safe() {
  case \${1##*/} in zram[0-9]*)
    below=$(cat "$1/backing_dev" 2>/dev/null); [ -z "$below" ] || [ "$below" = none ] && { echo zram; return; }; echo clear; return ;;
  esac
  case $(cat "$1/dm/uuid" 2>/dev/null) in CRYPT-*) echo crypt; return ;; esac
  kind=clear
  for slave in "$1"/slaves/*; do
    [ -e "$slave" ] || continue
    [ "$2" -lt 8 ] || { echo clear; return; }
    kind=$(safe "$slave" $(($2 + 1))); [ "$kind" = clear ] && { echo clear; return; }
  done
  echo "$kind"
}
tail -n +2 "$at/proc/swaps" 2>/dev/null | while read -r name type size used rest; do
  case $type in
  partition) device=$at/sys/class/block/\${name##*/} ;;
  *) number=$(stat -c %d "$at$(printf %b "$name")" 2>/dev/null)
    [ -n "$number" ] && device=$at/sys/dev/block/$(( (number >> 8) & 4095 )):$(( (number & 255) | ((number >> 12) & 1048320) )) || device= ;;
  esac
  if [ -n "$device" ] && [ -d "$device" ]; then kind=$(safe "$(readlink -f "$device")" 0); else kind=clear; fi
  rec swap "$kind:$used" "$name"
done
[ -r "$at/proc/swaps" ] && rec swaps told ''
rec pattern "$(cat "$at/proc/sys/kernel/core_pattern" 2>/dev/null)" ''
rec suid "$(cat "$at/proc/sys/fs/suid_dumpable" 2>/dev/null)" ''
for one in "$at"/etc/systemd/coredump.conf "$at"/usr/lib/systemd/coredump.conf.d/*.conf "$at"/run/systemd/coredump.conf.d/*.conf "$at"/etc/systemd/coredump.conf.d/*.conf; do
  [ -r "$one" ] || continue
  storage=$(sed -nE 's/^[[:space:]]*Storage[[:space:]]*=[[:space:]]*([a-z]+).*/\\1/p' "$one" | tail -n 1)
  [ -n "$storage" ] && rec storage "$storage" "$one"
done
seen=0
for process in "$at"/proc/[0-9]*; do
  [ "$seen" -lt 64 ] || break
  case $(cat "$process/comm" 2>/dev/null) in php-fpm*|apache2|httpd|frankenphp|lsphp*) ;; *) continue ;; esac
  soft=$(sed -nE 's/^Max core file size +([a-z0-9]+) .*/\\1/p' "$process/limits" 2>/dev/null)
  real=$(sed -nE 's/^Uid:[[:space:]]+([0-9]+).*/\\1/p' "$process/status" 2>/dev/null)
  mine=$(stat -c %u "$process/environ" 2>/dev/null)
  [ -n "$soft" ] && [ -n "$real" ] && [ -n "$mine" ] || continue
  seen=$((seen + 1))
  rec worker "$soft:$real:$mine" "$(cat "$process/comm" 2>/dev/null)"
done
for one in "$at"/var/lib/systemd/coredump/core.php* "$at"/var/lib/systemd/coredump/core.apache2* "$at"/var/lib/systemd/coredump/core.httpd* \\
  "$at"/var/crash/*php* "$at"/var/crash/*apache2* "$at"/var/lib/apport/coredump/*php* "$at"/cores/*php*; do
  [ -f "$one" ] && rec core '' "$one"
done
:
`;

export async function probeMemory(machine: Transport, root = ''): Promise<MemoryEvidence> {
  const seen = await runProbe(machine, LOOK, [root]);
  const cores: CoreDumps = {
    pattern: recorded(seen, 'pattern') ?? '',
    suidDumpable: count(recorded(seen, 'suid') ?? undefined),
    storage: seen.filter(({ kind }) => kind === 'storage').at(-1)?.value ?? null,
    workers: seen.flatMap(worker),
    files: seen.filter(({ kind }) => kind === 'core').map(({ path }) => path),
  };
  return { swapsTold: recorded(seen, 'swaps') !== null, swap: seen.flatMap(swapArea), cores };
}

function swapArea({ kind, value, path }: Seen): SwapArea[] {
  if (kind !== 'swap') return [];
  const [on, used] = value.split(':');
  return [{ path, on: on === 'zram' || on === 'crypt' ? on : 'clear', usedKib: count(used) ?? 0 }];
}

/** The kernel gives the files of a process that has changed its user to root, whoever it runs as now. */
function worker({ kind, value, path }: Seen): WorkerSeen[] {
  if (kind !== 'worker') return [];
  const [limit, uid, owner] = value.split(':');
  return [{ name: path, coreLimit: limit ?? '', changedUser: uid === '0' ? null : owner === '0' }];
}
