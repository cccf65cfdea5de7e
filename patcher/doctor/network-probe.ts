import { isIP } from 'node:net';
import type { Transport } from '../transports/transport.ts';
import type { ClockEvidence } from './clock.ts';
import type { Patient } from './patient.ts';
import { count, PROBE_START, recorded, runProbe, type Seen } from './probe-answer.ts';
import type { RouteSeen } from './tunnel.ts';

/**
 * Host names of the key server as parameters. Where each leads: `route` with the address, `device` with its name, `kind`
 * wireguard or other, `handshake` with the age in seconds of the newest one of its peers: on a client there is one.
 */
const ROUTES = `${PROBE_START}
seconds=10
for host do
  address=$host
  case $host in *[!0-9.]*) case $host in *:*) ;; *) address=$(within getent ahosts "$host" 2>/dev/null | awk 'NR == 1 { print $1 }') ;; esac ;; esac
  rec address "$address" "$host"
  [ -n "$address" ] || continue
  device=$(ip -o route get "$address" 2>/dev/null | sed -nE 's/.* dev ([^ ]+).*/\\1/p' | head -n 1)
  rec device "$device" "$host"
  [ -n "$device" ] || continue
  kind=other
  grep -qs '^DEVTYPE=wireguard' "/sys/class/net/$device/uevent" && kind=wireguard
  if command -v wg >/dev/null 2>&1; then
    rec tool wg "$host"
    shown=$(wg show "$device" latest-handshakes 2>/dev/null) && kind=wireguard
    [ "$kind" = wireguard ] && rec handshake "$(printf '%s\\n' "$shown" | awk -v now="$(date +%s)" \\
      '$2 > newest { newest = $2 } END { if (newest > 0) print now - newest; else print "never" }')" "$host"
  fi
  rec kind "$kind" "$host"
done
:
`;

/** One name a host; addresses of IPv6 without their brackets. */
function hostsOf(urls: readonly string[]): string[] {
  const names = urls.filter((url) => URL.canParse(url)).map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
  return [...new Set(names)].filter((name) => /^[0-9A-Za-z][0-9A-Za-z.:-]*$/.test(name));
}

export async function probeRoutes({ machine, urls }: Pick<Patient, 'machine' | 'urls'>): Promise<RouteSeen[]> {
  const hosts = hostsOf(urls ?? []);
  if (hosts.length === 0) return [];
  const seen = await runProbe(machine, ROUTES, hosts);
  return hosts.map((host) =>
    routeOf(
      host,
      seen.filter(({ path }) => path === host),
    ),
  );
}

function routeOf(host: string, seen: readonly Seen[]): RouteSeen {
  const address = recorded(seen, 'address') ?? '';
  const device = recorded(seen, 'device') ?? '';
  const handshake = recorded(seen, 'handshake');
  return {
    host,
    address: isIP(address) === 0 ? null : address,
    device: device === '' ? null : device,
    isWireGuard: recorded(seen, 'kind') === 'wireguard',
    hasTool: recorded(seen, 'tool') !== null,
    handshakeAge: handshake === 'never' ? 'never' : count(handshake ?? undefined),
  };
}

const CLOCK = `${PROBE_START}
rec now "$(date +%s)" ''
if command -v timedatectl >/dev/null 2>&1; then rec synchronised "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" ''; fi
`;

/** Both clocks, with what the answer took: the truth lies somewhere within. */
export async function probeClock(machine: Transport, now: () => number): Promise<ClockEvidence> {
  const before = now();
  const seen = await runProbe(machine, CLOCK, []);
  const after = now();
  const there = count(recorded(seen, 'now') ?? undefined);
  const synchronised = recorded(seen, 'synchronised');
  return {
    there: there === null ? null : there * 1000,
    before,
    after,
    synchronised: synchronised === 'yes' ? true : synchronised === 'no' ? false : null,
  };
}
