/** A whole number, or one drawn anew from a range, both ends included. */
export type Span = number | { readonly from: number; readonly to: number };

/**
 * What AmneziaWG adds to a WireGuard interface, named as in its files. Everything is optional: without any of it the tunnel is
 * plain WireGuard. Sizes are bytes, times are seconds.
 *
 * - Jc, Jmin, Jmax: how many junk packets go before a handshake, and how large they are.
 * - S1 to S4: what is put before an initiation, a response, a cookie reply, and every data packet.
 * - H1 to H4: what stands for the message types 1 to 4. Since 2.0 a range.
 * - I1 to I5: packets that go before a handshake and look like another protocol. Since 1.5.
 * - The rest came with 3.0 and 3.1.
 */
export interface Obfuscation {
  readonly Jc?: number;
  readonly Jmin?: number;
  readonly Jmax?: number;
  readonly S1?: number;
  readonly S2?: number;
  readonly S3?: number;
  readonly S4?: number;
  readonly H1?: Span;
  readonly H2?: Span;
  readonly H3?: Span;
  readonly H4?: Span;
  readonly I1?: string;
  readonly I2?: string;
  readonly I3?: string;
  readonly I4?: string;
  readonly I5?: string;
  /** Base64 of 32 bytes; a secret. */
  readonly HeaderProtectionKey?: string;
  readonly ContentPaddingAddition?: Span;
  readonly RekeyAfterTime?: Span;
  readonly RekeyTimeout?: Span;
  readonly RejectAfterTime?: Span;
  readonly KeepaliveTimeout?: Span;
  readonly MaxHandshakeAttempts?: Span;
  readonly RandomTrailers?: boolean;
  readonly DisableCookies?: boolean;
}

export type ObfuscationKey = keyof Obfuscation;
export type ObfuscationVersion = '1.0' | '1.5' | '2.0' | '3.0' | '3.1';

type Kind = 'integer' | 'span' | 'packet' | 'key' | 'switch';

interface Parameter {
  readonly kind: Kind;
  readonly since: ObfuscationVersion;
  /** True where a tunnel does not work unless both ends have the same. */
  readonly shared: boolean;
}

const size = (since: ObfuscationVersion, shared: boolean): Parameter => ({ kind: 'integer', since, shared });
const header: Parameter = { kind: 'span', since: '1.0', shared: true };
const packet: Parameter = { kind: 'packet', since: '1.5', shared: false };
const timing: Parameter = { kind: 'span', since: '3.0', shared: false };

/** Every parameter, in the order in which files have them. */
export const PARAMETERS: Readonly<Record<ObfuscationKey, Parameter>> = {
  Jc: size('1.0', false),
  Jmin: size('1.0', false),
  Jmax: size('1.0', false),
  S1: size('1.0', true),
  S2: size('1.0', true),
  S3: size('2.0', true),
  S4: size('2.0', true),
  H1: header,
  H2: header,
  H3: header,
  H4: header,
  I1: packet,
  I2: packet,
  I3: packet,
  I4: packet,
  I5: packet,
  HeaderProtectionKey: { kind: 'key', since: '3.0', shared: true },
  ContentPaddingAddition: timing,
  RekeyAfterTime: timing,
  RekeyTimeout: timing,
  RejectAfterTime: timing,
  KeepaliveTimeout: timing,
  MaxHandshakeAttempts: timing,
  RandomTrailers: { kind: 'switch', since: '3.1', shared: true },
  DisableCookies: { kind: 'switch', since: '3.1', shared: false },
};

export const OBFUSCATION_KEYS = Object.keys(PARAMETERS) as readonly ObfuscationKey[];

export const VERSIONS: readonly ObfuscationVersion[] = ['1.0', '1.5', '2.0', '3.0', '3.1'];

/** The parameter of this name, whatever its case; `null` when there is none. */
export function obfuscationKey(name: string): ObfuscationKey | null {
  return OBFUSCATION_KEYS.find((key) => key.toLowerCase() === name.toLowerCase()) ?? null;
}

/** True when there is nothing in it, so that plain WireGuard is meant. */
export function isPlain(obfuscation: Obfuscation): boolean {
  return OBFUSCATION_KEYS.every((key) => obfuscation[key] === undefined);
}

/** The oldest version that knows all of it; `null` for plain WireGuard. */
export function versionNeeded(obfuscation: Obfuscation): ObfuscationVersion | null {
  let needed = -1;
  for (const key of OBFUSCATION_KEYS) {
    const value = obfuscation[key];
    if (value === undefined) continue;
    const { since } = PARAMETERS[key];
    const ranged = /^H/.test(key) && typeof value === 'object' ? '2.0' : since;
    needed = Math.max(needed, VERSIONS.indexOf(since), VERSIONS.indexOf(ranged));
  }
  return VERSIONS[needed] ?? null;
}

export function spanOf(span: Span): { readonly from: number; readonly to: number } {
  return typeof span === 'number' ? { from: span, to: span } : span;
}
