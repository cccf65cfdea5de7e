import {
  OBFUSCATION_KEYS,
  type Obfuscation,
  type ObfuscationKey,
  PARAMETERS,
  type Span,
  spanOf,
} from './parameters.ts';
import { packetProblem } from './signature-packet.ts';

/** A rule that a set of parameters breaks. */
export interface Breach {
  /** The parameters that it is about, the first one to be named first. */
  readonly keys: readonly ObfuscationKey[];
  /** What must hold, in words that follow the key's name. */
  readonly words: string;
}

/** Bytes of the four messages without padding. */
const INITIATION = 148;
const RESPONSE = 92;
const COOKIE = 64;
/** What a message may be long without being cut on its way: the least MTU of IPv6. */
const SAFE_PACKET = 1280;
/** Above it a file or the answer of a kernel overflows (amneziawg-tools and -linux-kernel-module, mid 2026). */
const PACKETS_TEXT = 3500;
/** Larger ones fail in clients that read them as a signed 32-bit number. */
const HEADER_MAX = 2 ** 31 - 1;
/** Times are 16 bits wide, and larger ones are cut without a word. */
const WORD = 65_535;
/** What the header protection reads from the padding of every message. */
const PROTECTED_PADDING = 12;

/** Every rule that is broken; none for a set that kernel module, amneziawg-go and the apps agree on. */
export function breachesOf(obfuscation: Obfuscation): Breach[] {
  return [
    ...bounds(obfuscation),
    ...junk(obfuscation),
    ...padding(obfuscation),
    ...headers(obfuscation),
    ...packets(obfuscation),
    ...protection(obfuscation),
  ];
}

const BOUNDS: Partial<Record<ObfuscationKey, readonly [min: number, max: number, why: string]>> = {
  Jc: [1, 128, 'more crash the Android app'],
  Jmin: [1, SAFE_PACKET, 'larger packets would be cut'],
  Jmax: [1, SAFE_PACKET, 'larger packets would be cut'],
  S1: [0, SAFE_PACKET - INITIATION, 'larger initiations would be cut'],
  S2: [0, SAFE_PACKET - RESPONSE, 'larger responses would be cut'],
  S3: [0, 64, 'more is not taken everywhere'],
  S4: [0, 32, 'every data packet grows by it'],
  H1: [5, HEADER_MAX, '1 to 4 are those of plain WireGuard'],
  H2: [5, HEADER_MAX, '1 to 4 are those of plain WireGuard'],
  H3: [5, HEADER_MAX, '1 to 4 are those of plain WireGuard'],
  H4: [5, HEADER_MAX, '1 to 4 are those of plain WireGuard'],
  ContentPaddingAddition: [0, SAFE_PACKET, 'larger packets would be cut'],
  RekeyAfterTime: [1, WORD, 'more does not fit'],
  RekeyTimeout: [1, WORD, 'more does not fit'],
  RejectAfterTime: [1, WORD, 'more does not fit'],
  KeepaliveTimeout: [1, WORD, 'more does not fit'],
  MaxHandshakeAttempts: [1, WORD, 'more does not fit'],
};

function bounds(given: Obfuscation): Breach[] {
  return OBFUSCATION_KEYS.flatMap((key): Breach[] => {
    const value = given[key];
    const bound = BOUNDS[key];
    if (bound === undefined || value === undefined || isStandardHeader(given, key)) return [];
    const { from, to } = spanOf(value as Span);
    const [min, max, why] = bound;
    const whole = Number.isSafeInteger(from) && Number.isSafeInteger(to);
    if (whole && from >= min && to <= max && from <= to) return [];
    const what = PARAMETERS[key].kind === 'span' ? 'an integer or a range' : 'an integer';
    return [{ keys: [key], words: `must be ${what} from ${min} to ${max} (${why})` }];
  });
}

/** With header protection the types of plain WireGuard stay: they are hidden, not renamed. */
function isStandardHeader(given: Obfuscation, key: ObfuscationKey): boolean {
  const number = /^H([1-4])$/.exec(key)?.[1];
  return number !== undefined && given.HeaderProtectionKey !== undefined && given[key] === Number(number);
}

function junk({ Jc, Jmin, Jmax }: Obfuscation): Breach[] {
  const given = [Jc, Jmin, Jmax].filter((value) => value !== undefined);
  if (given.length === 0) return [];
  if (Jc === undefined || Jmin === undefined || Jmax === undefined) {
    return [{ keys: ['Jc', 'Jmin', 'Jmax'], words: 'must be given together with Jmin and Jmax' }];
  }
  return Jmin < Jmax
    ? []
    : [{ keys: ['Jmin', 'Jmax'], words: 'must be less than Jmax (kernel module 3 overflows otherwise)' }];
}

function padding(given: Obfuscation): Breach[] {
  const { S1 = 0, S2 = 0, S3, S4 } = given;
  const found: Breach[] = [];
  if (given.RandomTrailers === true) return found; // there they must be equal, and trailers tell the messages apart
  const isGiven = given.S1 !== undefined || given.S2 !== undefined;
  if (isGiven && S1 + INITIATION === S2 + RESPONSE) {
    found.push({ keys: ['S1', 'S2'], words: 'must not make an initiation as long as a response (S1 + 56 = S2)' });
  }
  if (S3 !== undefined && S3 > 0) {
    if (S1 + INITIATION === S3 + COOKIE || S2 + RESPONSE === S3 + COOKIE) {
      found.push({ keys: ['S3', 'S1', 'S2'], words: 'must not make a cookie reply as long as another message' });
    }
  }
  if (S4 !== undefined && given.S3 === undefined) found.push({ keys: ['S4', 'S3'], words: 'must come with S3' });
  return found;
}

function headers(given: Obfuscation): Breach[] {
  const keys = ['H1', 'H2', 'H3', 'H4'] as const;
  const set = keys.filter((key) => given[key] !== undefined);
  if (set.length === 0) return [];
  if (set.length < keys.length) {
    const missing = keys.find((key) => given[key] === undefined) ?? 'H1';
    return [{ keys: [missing, ...set], words: 'must be given with the other three of H1 to H4' }];
  }
  const found: Breach[] = [];
  for (const [at, a] of keys.entries()) {
    for (const b of keys.slice(at + 1)) {
      const [x, y] = [spanOf(given[a] as Span), spanOf(given[b] as Span)];
      // next to each other counts as well: some generators make the end of one the beginning of another
      if (x.from <= y.to && y.from <= x.to)
        found.push({ keys: [a, b], words: `must have nothing in common with ${b}` });
    }
  }
  return found;
}

function packets(given: Obfuscation): Breach[] {
  const keys = ['I1', 'I2', 'I3', 'I4', 'I5'] as const;
  const found = keys.flatMap((key): Breach[] => {
    const text = given[key];
    const problem = text === undefined ? null : packetProblem(text);
    return problem === null ? [] : [{ keys: [key], words: problem }];
  });
  const length = keys.reduce((sum, key) => sum + (given[key]?.length ?? 0), 0);
  if (length > PACKETS_TEXT)
    found.push({ keys: ['I1'], words: `to I5 must be at most ${PACKETS_TEXT} characters together` });
  return found;
}

function protection(given: Obfuscation): Breach[] {
  const found: Breach[] = [];
  const sizes = ['S1', 'S2', 'S3', 'S4'] as const;
  if (given.HeaderProtectionKey !== undefined) {
    const raw = Buffer.from(given.HeaderProtectionKey, 'base64');
    if (raw.length !== 32 || raw.toString('base64') !== given.HeaderProtectionKey) {
      found.push({ keys: ['HeaderProtectionKey'], words: 'must be base64 of 32 bytes' });
    }
    const short = sizes.filter((key) => (given[key] ?? 0) < PROTECTED_PADDING);
    const [first, ...others] = short;
    if (first !== undefined) {
      found.push({
        keys: [first, ...others, 'HeaderProtectionKey'],
        words: `must be at least ${PROTECTED_PADDING} with a HeaderProtectionKey`,
      });
    }
  }
  if (given.RandomTrailers === true) {
    const equal = sizes.every((key) => given[key] !== undefined && given[key] === given.S1);
    if (!equal)
      found.push({
        keys: ['S1', 'S2', 'S3', 'S4', 'RandomTrailers'],
        words: 'to S4 must all be the same with RandomTrailers',
      });
    const standard = ([1, 2, 3, 4] as const).every((n) => given[`H${n}`] === undefined || given[`H${n}`] === n);
    if (!standard)
      found.push({
        keys: ['H1', 'H2', 'H3', 'H4', 'RandomTrailers'],
        words: 'to H4 must be 1, 2, 3, 4 with RandomTrailers',
      });
    if (given.HeaderProtectionKey === undefined) {
      found.push({ keys: ['RandomTrailers'], words: 'needs a HeaderProtectionKey, or the types of the messages show' });
    }
  }
  return found;
}
