import { scriptText } from '../../platform/script-text.ts';
import { shQuote } from '../installers/quote.ts';
import { SHARED_PARTS } from '../installers/render.ts';
import type { TunnelFile } from './tunnel-file.ts';

/** What a provisioning script is told of the machine that it is for. */
export interface ProvisionValues {
  readonly role: 'hub' | 'spoke';
  /** For `nft -f`; of the table `inet latchkey` alone. */
  readonly ruleset: string;
  /** Paths below /proc/sys with their values. */
  readonly sysctls: readonly (readonly [path: string, value: string])[];
  /** Units of systemd that are started at boot where they are there. */
  readonly services: readonly string[];
  /** Seconds that the rules wait for their confirmation. */
  readonly waitSeconds: number;
  /** The tunnel that the machine is given, as `readTunnelFile` has it: then the script is secret. */
  readonly tunnel: TunnelFile | null;
}

/** Where a machine keeps what waits; gone after a restart, as the rules are. */
export const STATE = '/run/latchkey-provision';

/** What a hub forwards. */
export const FORWARDING: ProvisionValues['sysctls'] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
];

const own = new URL('templates/', import.meta.url);

/** Pure but for its templates: the script for a machine, the same bytes for the same values. */
export function provisionText({ role, ruleset, sysctls, services, waitSeconds, tunnel }: ProvisionValues): string {
  const assignments = [
    ['ROLE', role],
    ['RULESET', ruleset.trimEnd()],
    ['SYSCTLS', sysctls.map((pair) => pair.join(' ')).join('\n')],
    ['SERVICES', services.join(' ')],
    ['WAIT', String(waitSeconds)],
    ['TUNNEL', tunnel?.name ?? ''],
    ['TUNNEL_KEY', tunnel?.publicKey ?? ''],
    ['TUNNEL_TEXT', tunnel?.text.trimEnd() ?? ''],
  ] as const;
  const lines = assignments.map(([name, value]) => `${name}=${shQuote(value)}`);
  return filled('provision').replace(/^# @@values@@$/m, () => lines.join('\n'));
}

/** A template with everything in it that is the same for all machines. */
function filled(name: string): string {
  const lines = { state: `STATE=${shQuote(STATE)}` };
  return scriptText(new URL(`${name}.sh`, own), { folders: { part: SHARED_PARTS, own }, lines });
}

/** The script that decides over rules that wait, by itself; for tests of its text. */
export const guardText = (): string => filled('guard');
