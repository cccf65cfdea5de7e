import { hkdfSync } from 'node:crypto';
import type { RandomBytes } from '../../platform/clock.ts';
import type { Transport } from '../transports/transport.ts';

/** Longest that a machine may be called. */
const LONGEST = 200;

/** What a machine calls itself, as long as it is that machine: its id, a Mac's hardware's, else its name. */
const WHO = `
if [ "$(uname -s)" = Darwin ]; then
  id=$(ioreg -rd1 -c IOPlatformExpertDevice 2>/dev/null | awk -F '"' '$2 == "IOPlatformUUID" { print $4 }')
  if [ -n "$id" ]; then printf '%s\\n' "$id"; exit; fi
fi
for file in /etc/machine-id /var/lib/dbus/machine-id; do
  if [ -s "$file" ]; then exec cat "$file"; fi
done
uname -n
`;

/** Tells the machine from others; empty where it does not say. */
export async function machineIdentity(transport: Pick<Transport, 'run'>): Promise<string> {
  const { stdout } = await transport.run(['sh', '-s'], { input: WHO });
  return stdout.toString('utf8').trim().slice(0, LONGEST);
}

/**
 * Pure: bytes as good as random ones for a choice, and the same in every run for the same two ends, so that what was shown is what is
 * done. No secret may be made of them.
 */
export function pairBytes(home: string, instanceId: string): RandomBytes {
  let count = 0;
  return (size) => Buffer.from(hkdfSync('sha256', JSON.stringify([home, instanceId]), '', `choice ${count++}`, size));
}
