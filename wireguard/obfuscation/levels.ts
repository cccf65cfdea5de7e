import type { RandomBytes } from '../../platform/clock.ts';
import type { Obfuscation, ObfuscationVersion, Span } from './parameters.ts';

/**
 * How hard a tunnel tries not to look like one. Drawn once for an interface; what must be the same on both ends is handed to
 * every peer.
 *
 * | level | needs | what it does |
 * |---|---|---|
 * | `off` | WireGuard | nothing |
 * | `low` | AmneziaWG 1.0 | junk packets before handshakes; the other end may be plain WireGuard |
 * | `medium` | 1.0 | and handshakes of other lengths, with other message types |
 * | `high` | 2.0 | and every message padded, types drawn from ranges, a packet that looks like a DNS question first |
 * | `extreme` | 3.1 | headers encrypted, random trailers, timers that vary |
 */
export const LEVELS = ['off', 'low', 'medium', 'high', 'extreme'] as const;
export type Level = (typeof LEVELS)[number];

/** The oldest AmneziaWG that takes a level; `null` for plain WireGuard. */
export const LEVEL_NEEDS: Readonly<Record<Level, ObfuscationVersion | null>> = {
  off: null,
  low: '1.0',
  medium: '1.0',
  high: '2.0',
  extreme: '3.1',
};

/** Draws the parameters of a level within the rules of `rules.ts`. */
export function drawObfuscation(level: Level, random: RandomBytes): Obfuscation {
  switch (level) {
    case 'off':
      return {};
    case 'low':
      return drawJunk(random);
    case 'medium': {
      const { S1, S2 } = drawHandshakePadding(random);
      return { ...drawJunk(random), S1, S2, ...drawTypes(random, 0) };
    }
    case 'high':
      return {
        ...drawJunk(random),
        ...drawHandshakePadding(random),
        S4: between(random, 1, 20),
        ...drawTypes(random, TYPE_SPREAD),
        I1: DNS_QUESTION,
      };
    case 'extreme': {
      const padding = between(random, 12, 20);
      return {
        ...drawJunk(random),
        ...{ S1: padding, S2: padding, S3: padding, S4: padding },
        ...{ H1: 1, H2: 2, H3: 3, H4: 4 },
        I1: DNS_QUESTION,
        HeaderProtectionKey: random(32).toString('base64'),
        ContentPaddingAddition: 0, // beside trailers it costs a fifth of the rate and hides nothing more
        RekeyAfterTime: { from: 100, to: 120 },
        RekeyTimeout: { from: 3, to: 7 },
        RejectAfterTime: { from: 150, to: 180 },
        KeepaliveTimeout: { from: 5, to: 15 },
        RandomTrailers: true,
      };
    }
  }
}

/** Narrow, so that one interface's types are not drawn from the whole of what there is. */
const TYPE_SPREAD = 1000;

/** A random id, one question, recursion wanted; a name of random letters below `.com`, type A (RFC 1035, section 4.1). */
const DNS_QUESTION = '<r 2><b 0x01000001000000000000><b 0x0c><rc 12><b 0x03636f6d0000010001>';

function drawJunk(random: RandomBytes): Pick<Obfuscation, 'Jc' | 'Jmin' | 'Jmax'> {
  const Jmin = between(random, 8, 40);
  return { Jc: between(random, 4, 12), Jmin, Jmax: between(random, Jmin + 20, 80) };
}

/** Lengths of the handshake's messages, drawn again until no two are the same. */
function drawHandshakePadding(random: RandomBytes): { S1: number; S2: number; S3: number } {
  for (;;) {
    const [S1, S2, S3] = [between(random, 15, 150), between(random, 15, 150), between(random, 15, 64)];
    const lengths = new Set([S1 + 148, S2 + 92, S3 + 64]);
    if (lengths.size === 3 && new Set([S1, S2, S3]).size === 3) return { S1, S2, S3 };
  }
}

/** Four numbers or ranges that have nothing in common and do not touch: one from each quarter of what there is. */
function drawTypes(random: RandomBytes, spread: number): Pick<Obfuscation, 'H1' | 'H2' | 'H3' | 'H4'> {
  const quarter = Math.floor((2 ** 31 - 6) / 4);
  const places = [0, 1, 2, 3];
  for (let at = places.length - 1; at > 0; at--) {
    const other = between(random, 0, at);
    [places[at], places[other]] = [places[other] ?? 0, places[at] ?? 0];
  }
  const [H1, H2, H3, H4] = places.map((place): Span => {
    const from = 5 + place * quarter + between(random, 0, quarter - 2 - spread);
    return spread === 0 ? from : { from, to: from + between(random, spread / 2, spread) };
  });
  return { H1: H1 ?? 5, H2: H2 ?? 6, H3: H3 ?? 7, H4: H4 ?? 8 };
}

/** A whole number from `min` to `max`, each as likely as the others. */
function between(random: RandomBytes, min: number, max: number): number {
  const count = max - min + 1;
  const limit = Math.floor(2 ** 32 / count) * count;
  for (;;) {
    const drawn = random(4).readUInt32BE();
    if (drawn < limit) return min + (drawn % count);
  }
}
