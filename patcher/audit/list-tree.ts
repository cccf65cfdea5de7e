import { LatchkeyError } from '../../platform/errors.ts';
import type { Transport } from '../transports/transport.ts';
import { parseListing } from './listing-fields.ts';
import { ENDING, type ListingWish, listingCommand } from './listing-script.ts';
import { type ListingProgress, ListingStream } from './listing-stream.ts';
import type { TreeListing } from './tree-listing.ts';

const MAX_BYTES = 192 * 1024 * 1024;
/** For a tree of 25,000 files that comes to 4.4 MB in all, a line of 5 KB/s. */
const TIMEOUT_MS = 900_000;

/**
 * Hashes everything below a folder on the target, in one transfer. `null` when it is not there (or, with `onlyApps`, holds no
 * app). Throws `audit_incomplete` (exit 3) when something in it may not be looked at.
 */
export async function listTree(
  transport: Transport,
  folder: string,
  wish: ListingWish = {},
  progress?: ListingProgress,
): Promise<TreeListing | null> {
  const stream = new ListingStream(progress);
  let streamed = 0;
  const result = await transport.run(listingCommand(folder, wish), {
    maxBytes: MAX_BYTES,
    timeoutMs: TIMEOUT_MS,
    onStdout: (chunk) => {
      streamed += chunk.length;
      stream.take(chunk);
    },
  });
  if (streamed < result.stdout.length) stream.take(result.stdout.subarray(streamed));
  if (result.exit !== 0) throw incomplete(folder, result.exit, result.stderr);
  const { listing, ending } = parseListing(await stream.whole());
  if (ending === ENDING.notThere) return null;
  if (ending !== ENDING.complete) throw incomplete(folder, ending, result.stderr);
  return listing;
}

function incomplete(folder: string, exit: number, stderr: string): LatchkeyError {
  return new LatchkeyError('audit_incomplete', `not everything in ${folder} could be looked at`, {
    exit: 3,
    hint: 'log in as root, or use --sudo; if files come and go meanwhile, try again',
    extra: { exit, stderr: stderr.slice(-4096) },
  });
}
