import { combine, split } from 'shamir-secret-sharing';
import type { RandomBytes } from '../clock.ts';
import { constantTimeEqual, encodeBase64Url, sha256 } from '../encoding.ts';
import { LatchkeyError } from '../errors.ts';
import type { Share } from './share-text.ts';
import { type KekHeader, otherMethod, type SharesHeader, type UnsealMethod, wrappingKey } from './unseal.ts';

const secretBytes = 32;

/** A new set of shares; the method makes and opens the vault that wants them. */
export interface ShareSet {
  readonly shares: readonly Share[];
  readonly method: UnsealMethod;
}

/**
 * Splits a fresh random secret after Shamir: any `threshold` of the shares give it back, fewer tell nothing of it. The
 * package draws the coefficients itself, from the system's generator.
 */
export async function newShareSet(count: number, threshold: number, random: RandomBytes): Promise<ShareSet> {
  const secret = Uint8Array.from(random(secretBytes));
  const set = random(4).toString('hex');
  const values = await split(secret, count, threshold);
  const shares = values.map((value, index) => ({ set, number: index + 1, threshold, value }));
  const header: SharesHeader = {
    method: 'shares',
    salt: encodeBase64Url(random(16)),
    set,
    threshold,
    digests: shares.map((share) => digestOf(share)),
  };
  return { shares, method: { method: 'shares', newHeader: () => header, kekOf: async () => kekOf(secret, header) } };
}

/**
 * Shares that are at hand, each under the name by which a complaint calls it; `gather` is told what the vault wants. Throws
 * `share_refused` for one that is foreign, altered or there twice, `shares_missing` for too few.
 */
export function sharesMethod(gather: (header: SharesHeader) => Promise<readonly NamedShare[]>): UnsealMethod {
  return {
    method: 'shares',
    newHeader: () => {
      throw new LatchkeyError('usage', 'shares are made by keyserver vault split', { exit: 2 });
    },
    kekOf: async (header) => {
      if (header.method !== 'shares') throw otherMethod(header.method);
      const given = await gather(header);
      assertShares(given, header);
      const enough = given.slice(0, header.threshold).map(({ share }) => share.value);
      return kekOf(await combine(enough), header);
    },
  };
}

export interface NamedShare {
  /** `share 2`, or the file it came from. */
  readonly name: string;
  readonly share: Share;
}

/** Throws for the first share that does not belong to the vault's set; the vault knows the digest of each. */
export function assertShare({ name, share }: NamedShare, { set, digests }: SharesHeader): void {
  if (share.set !== set) throw refused(`${name} belongs to set ${share.set}, this vault to set ${set}`);
  const digest = digests[share.number - 1];
  if (digest === undefined || !constantTimeEqual(Buffer.from(digest), Buffer.from(digestOf(share)))) {
    throw refused(`${name} says it is share ${share.number} of set ${set}, and is not`);
  }
}

function assertShares(given: readonly NamedShare[], header: SharesHeader): void {
  const seen = new Map<number, string>();
  for (const named of given) {
    assertShare(named, header);
    const { number } = named.share;
    const before = seen.get(number);
    if (before !== undefined) throw refused(`${before} and ${named.name} are both share ${number}`);
    seen.set(number, named.name);
  }
  if (seen.size >= header.threshold) return;
  const numbers = [...seen.keys()].join(', ');
  const have = seen.size === 0 ? 'none was given' : `${seen.size} given (${numbers})`;
  throw new LatchkeyError('shares_missing', `${header.threshold} shares of set ${header.set} are needed, ${have}`, {
    exit: 2,
    hint: 'give --share-file once for each, or start on a terminal to type them',
  });
}

/** Names a share without telling anything of it: its value is as random as the secret. */
function digestOf({ set, number, value }: Share): string {
  return sha256(`latchkey share digest 1|${set}|${number}|`, value).toString('hex', 0, 16);
}

function kekOf(secret: Uint8Array, header: KekHeader): Buffer {
  return wrappingKey(secret, header);
}

function refused(message: string): LatchkeyError {
  return new LatchkeyError('share_refused', message, { exit: 2 });
}
