import { LatchkeyError } from '../../platform/errors.ts';

/** Programs that follow a link because somebody wrote it into a message, or to look whether it is evil. */
const PREVIEWS =
  /bot\b|bot\/|crawler|spider|preview|facebookexternalhit|whatsapp|slack|discord|telegram|skype|teams|linkedin|embedly|iframely|mattermost|rocket\.chat|signal|safelinks|barracuda|mimecast|proofpoint/i;

type Headers = Readonly<Record<string, string | undefined>>;

const MOST_AGENT = 200;

/** The program that asks, in its own words and for the audit log, which people read in a terminal. */
export function programOf(headers: Headers): string | null {
  return headers['user-agent']?.slice(0, MOST_AGENT).replace(/\p{Cc}/gu, '?') ?? null;
}

/**
 * Pure: throws `not_for_browsers` (406) for those who would use up a token by looking: previews of links, prefetching, and browsers,
 * which ask for HTML. curl, wget and PowerShell do not.
 */
export function assertInstaller(headers: Headers): void {
  const isPrefetch = [headers.purpose, headers['sec-purpose'], headers['x-moz']].some((text) =>
    /prefetch|preview/i.test(text ?? ''),
  );
  const wantsPage = /text\/html/i.test(headers.accept ?? '') || headers['sec-fetch-mode'] === 'navigate';
  if (!isPrefetch && !wantsPage && !PREVIEWS.test(headers['user-agent'] ?? '')) return;
  throw new LatchkeyError(
    'not_for_browsers',
    'this address gives an installer, once, to the command that was shown with it',
    {
      status: 406,
      hint: 'paste the whole command into a terminal of the machine that is to join; nothing was used up by looking',
    },
  );
}
