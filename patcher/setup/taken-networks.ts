import { isIPv4 } from 'node:net';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { formatPrefix, networkOf, parsePrefix } from '../../wireguard/address/prefix.ts';
import type { Transport } from '../transports/transport.ts';

/** A route that takes half of all addresses or more is another spelling of the default one. */
const NARROWEST_DEFAULT = 1;

/** What the machine says, with a mark before each answer. */
const ASK = `
mark() { printf '==%s\\n' "$1"; }
if [ "$(uname -s)" = Darwin ]; then
  if [ -n "$1" ] && [ -f "/var/run/wireguard/$1.name" ]; then mark name; cat "/var/run/wireguard/$1.name"; fi
  mark netstat
  netstat -rn -f inet
  exit
fi
PATH=$PATH:/usr/sbin:/sbin
if ip -j -4 address show >/dev/null 2>&1; then
  mark addresses
  ip -j -4 address show
  mark routes
  ip -j -4 route show table all
else
  mark proc
  cat /proc/net/route
fi
`;

/**
 * Every IPv4 network that the machine has an address in or a route to, but for its default route and those of the interface `except`:
 * `10.0.0.0/24`, sorted. Throws `networks_unknown` where the machine does not say.
 */
export async function takenNetworks(
  transport: Pick<Transport, 'run' | 'label'>,
  except: string | null = null,
): Promise<readonly string[]> {
  const { exit, stdout } = await transport.run(['sh', '-s', '--', except ?? ''], { input: ASK });
  const parts = new Map(
    stdout
      .toString('utf8')
      .split(/^==/m)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)] as const),
  );
  const { netstat, proc, addresses, routes } = Object.fromEntries(parts);
  try {
    if (exit !== 0) throw unknown(transport.label);
    if (netstat !== undefined) return networksOfNetstat(netstat, parts.get('name')?.trim() ?? null);
    if (proc !== undefined) return networksOfProc(proc, except);
    return networksOfIp(addresses ?? '', routes ?? '', except);
  } catch (cause) {
    throw unknown(transport.label, cause);
  }
}

function unknown(label: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('networks_unknown', `${label} does not say which networks it is in`, {
    hint: '"ip address" and "ip route", or "netstat -rn" on a Mac, must work there',
    cause,
  });
}

const addressList = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z
      .array(z.object({ local: z.string().optional(), prefixlen: z.int().min(0).max(32).optional() }))
      .optional(),
  }),
);
const routeList = z.array(z.object({ dst: z.string(), dev: z.string().optional() }));

/** Pure: what `ip -j -4 address` and `ip -j -4 route show table all` say. */
export function networksOfIp(addresses: string, routes: string, except: string | null): readonly string[] {
  const own = addressList
    .parse(parsedJson(addresses))
    .filter(({ ifname }) => ifname !== except)
    .flatMap(({ addr_info = [] }) =>
      addr_info.flatMap(({ local, prefixlen }) => (local === undefined ? [] : [`${local}/${prefixlen ?? 32}`])),
    );
  const routed = routeList
    .parse(parsedJson(routes))
    .filter(({ dst, dev }) => dst !== 'default' && (dev === undefined || dev !== except))
    .map(({ dst }) => dst);
  return distinct([...own, ...routed]);
}

/** Nothing at all is an empty list: some versions of ip print nothing then. */
function parsedJson(text: string): unknown {
  return text.trim() === '' ? [] : JSON.parse(text);
}

/** Pure: /proc/net/route, whose numbers are those of a little-endian machine. */
export function networksOfProc(text: string, except: string | null): readonly string[] {
  const lines = text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  return distinct(
    lines.flatMap(([device, destination = '', , , , , , mask = '']) => {
      if (!/^[0-9A-Fa-f]{8}$/.test(destination) || !/^[0-9A-Fa-f]{8}$/.test(mask) || device === except) return [];
      const bits = [...octets(mask)]
        .map((octet) => octet.toString(2).replaceAll('0', '').length)
        .reduce((a, b) => a + b);
      return [`${octets(destination).join('.')}/${bits}`];
    }),
  );
}

function octets(hex: string): number[] {
  return [...Buffer.from(hex, 'hex')].reverse();
}

/** Pure: what `netstat -rn -f inet` of a Mac says, which leaves zeros out at the end: `10.71.203/30`, `192.168.1`, `127`. */
export function networksOfNetstat(text: string, except: string | null): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  return distinct(
    lines.flatMap(([destination = '', , , device]) => {
      const [, address = '', length] = /^(\d{1,3}(?:\.\d{1,3}){0,3})(?:\/(\d{1,2}))?$/.exec(destination) ?? [];
      if (address === '' || (except !== null && device === except)) return [];
      const given = address.split('.');
      const whole = [...given, '0', '0', '0'].slice(0, 4).join('.');
      return [`${whole}/${length ?? given.length * 8}`];
    }),
  );
}

function distinct(texts: readonly string[]): readonly string[] {
  const found = texts.flatMap((text) => {
    if (!isIPv4(text.split('/')[0] ?? '')) return [];
    const prefix = networkOf(parsePrefix(text, 'network'));
    return prefix.bits <= NARROWEST_DEFAULT ? [] : [formatPrefix(prefix)];
  });
  return [...new Set(found)].sort();
}
