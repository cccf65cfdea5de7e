import { LatchkeyError } from '../../platform/errors.ts';
import { type Obfuscation, type ObfuscationVersion, VERSIONS, versionNeeded } from './parameters.ts';

/** A program that takes a configuration, and the newest AmneziaWG it understands. */
export interface ClientProgram {
  readonly name: string;
  /** `null` for plain WireGuard only. */
  readonly newest: ObfuscationVersion | null;
  /** Refuses a file with lines it does not know, `PostUp` and `Table` among them. */
  readonly strict: boolean;
}

/** What the programs of 2026 take. The Windows app stands still at 2.0; AmneziaVPN 5.0 drops what is newer when it imports a file. */
export const CLIENT_PROGRAMS: readonly ClientProgram[] = [
  { name: 'wireguard', newest: null, strict: true },
  { name: 'amneziawg-tools', newest: '3.1', strict: false },
  { name: 'amneziawg-apple', newest: '3.1', strict: true },
  { name: 'amneziawg-android', newest: '3.1', strict: true },
  { name: 'amneziawg-windows', newest: '2.0', strict: true },
  { name: 'amneziavpn', newest: '2.0', strict: false },
  { name: 'keenetic', newest: '1.0', strict: false },
];

/** The program of that name, or `invalid_request` with the names there are. */
export function clientProgram(name: string, field: string): ClientProgram {
  const found = CLIENT_PROGRAMS.find((program) => program.name === name);
  if (found !== undefined) return found;
  const names = CLIENT_PROGRAMS.map((program) => program.name).join(', ');
  throw new LatchkeyError('invalid_request', `"${field}" must be one of ${names}`, { status: 400, exit: 2, field });
}

/** Why a program cannot take part in an interface with these parameters; `null` when it can. */
export function whyNot(program: ClientProgram, obfuscation: Obfuscation): string | null {
  const needed = versionNeeded(obfuscation);
  if (needed === null) return null;
  if (program.newest === null) return `${program.name} knows plain WireGuard only, this needs AmneziaWG ${needed}`;
  if (VERSIONS.indexOf(program.newest) >= VERSIONS.indexOf(needed)) return null;
  return `${program.name} takes AmneziaWG up to ${program.newest}, this needs ${needed}`;
}
