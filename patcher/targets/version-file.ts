import { LatchkeyError } from '../../platform/errors.ts';

/** What a Nextcloud tree says of itself in `version.php`. */
export interface VersionFile {
  /** Four parts, as compared on upgrades: `32.0.2.2`. */
  readonly version: string;
  /** As people read it: `32.0.2`, `33.0.0 RC1`. */
  readonly versionString: string;
  readonly major: number;
  /** Empty, or `Enterprise`. */
  readonly edition: string;
  readonly channel: string;
  readonly vendor: string;
}

/**
 * Reads `version.php` as text. It is never executed: it comes from a tree that may have been tampered with, and often
 * over the network. Throws `version_unreadable` unless every field is where the release scripts put it.
 */
export function parseVersionFile(text: string): VersionFile {
  const numbers =
    /^\$OC_Version\s*=\s*(?:array\s*\(|\[)\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,?\s*[)\]]\s*;/m.exec(
      text,
    );
  const parts = numbers?.slice(1, 5) ?? [];
  const versionString = assigned(text, 'OC_VersionString');
  if (parts.length !== 4 || versionString === null) {
    throw new LatchkeyError('version_unreadable', '"version.php" does not have the form of a Nextcloud release');
  }
  return {
    version: parts.join('.'),
    versionString,
    major: Number(parts[0]),
    edition: assigned(text, 'OC_Edition') ?? '',
    channel: assigned(text, 'OC_Channel') ?? '',
    vendor: assigned(text, 'vendor') ?? '',
  };
}

function assigned(text: string, variable: string): string | null {
  const pattern = new RegExp(`^\\$${variable}\\s*=\\s*(?:'([^'\\\\\\n]{0,100})'|"([^"\\\\$\\n]{0,100})")\\s*;`, 'm');
  const found = pattern.exec(text);
  return found === null ? null : (found[1] ?? found[2] ?? '');
}

/** Compares dotted versions part by part; missing parts count as 0. Negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
