/** A credential by its form. `foreign` is something that is none of ours. */
export interface Bearer {
  readonly kind: 'token' | 'session' | 'jwt' | 'foreign';
  /** Of a session without its prefix. */
  readonly text: string;
}

/** What a session's token begins with; what follows is a matter of the sessions. */
export const sessionPrefix = 'lks_';

/** Longer than any JWT that says who somebody is. */
const longest = 4_096;

const foreign: Bearer = { kind: 'foreign', text: '' };

/** Reads `Authorization` (RFC 6750, section 2.1). What a text claims to be is told by its form, and decides nothing else. */
export function bearerOf(header: string): Bearer {
  const text = header.length > longest ? undefined : /^Bearer ([\w.~+/-]+=*)$/i.exec(header)?.[1];
  if (text === undefined) return foreign;
  if (text.startsWith('lkt_')) return { kind: 'token', text };
  if (text.startsWith(sessionPrefix)) return { kind: 'session', text: text.slice(sessionPrefix.length) };
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? { kind: 'jwt', text } : foreign;
}
