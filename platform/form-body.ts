import { LatchkeyError } from './errors.ts';

/** More fields than any form here has. */
const fieldLimit = 32;

/**
 * Reads `application/x-www-form-urlencoded` as browsers send it (URL Standard, section 5). Stricter than they would be: a
 * name that comes twice, a broken percent sign, bytes that are no UTF-8 and names of other than letters, digits and `_` are
 * refused, so that one form has one reading.
 */
export function parseForm(text: string): Readonly<Record<string, string>> {
  const fields = new Map<string, string>();
  if (text === '') return {};
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(0, equals));
    if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(name)) throw refused('body', 'must be a form');
    if (fields.has(name)) throw refused(name, 'must not come twice');
    if (fields.size >= fieldLimit) throw refused('body', `must have at most ${fieldLimit} fields`);
    fields.set(name, decodeField(name, pair.slice(equals + 1)));
  }
  return Object.fromEntries(fields);
}

function decodeField(name: string, text: string): string {
  // what a browser leaves as it is; everything else comes as %XX
  if (!/^(?:[A-Za-z0-9*._+-]|%[0-9A-Fa-f]{2})*$/.test(text)) throw refused(name, 'must be encoded as a form');
  try {
    return decodeURIComponent(text.replaceAll('+', ' ')).replaceAll('\r\n', '\n');
  } catch {
    throw refused(name, 'must be UTF-8');
  }
}

function refused(field: string, words: string): LatchkeyError {
  return new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, field });
}
