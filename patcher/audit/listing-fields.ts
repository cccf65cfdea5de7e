import { isUtf8 } from 'node:buffer';
import { LatchkeyError } from '../../platform/errors.ts';
import type { TreeListing } from './tree-listing.ts';

function confused(): LatchkeyError {
  return new LatchkeyError('target_answer', 'the target answered in a form that is not understood', {
    hint: 'its find or sha512sum may not be the ones of coreutils or busybox',
  });
}

export interface ReadListing {
  readonly listing: TreeListing;
  /** One of ENDING, or what else the target's shell ended with. */
  readonly ending: number;
}

/** Pure: reads what the listing script prints; anything else throws `target_answer`. */
export function parseListing(output: Buffer): ReadListing {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  const others: string[] = [];
  const texts = new Map<string, Buffer>();
  const fields = fieldsOf(output);
  let ending: number | null = null;
  for (let field = fields.next(); field.done !== true; field = fields.next()) {
    if (ending !== null) throw confused();
    const [tag, rest] = [String.fromCharCode(field.value[0] ?? 0), field.value.subarray(1)];
    const next = (): Buffer => {
      const following = fields.next();
      if (following.done === true) throw confused();
      return following.value;
    };
    if (tag === 'H') {
      for (const line of nameOf(rest).split('\n').slice(0, -1)) {
        const match = /^([0-9a-f]{128}) [ *](\.\/[^\0]+)$/.exec(line);
        if (match === null) throw confused();
        files.set(below(match[2] ?? ''), match[1] ?? '');
      }
    } else if (tag === 'O') {
      // an unreadable one has no hash before its name
      const match = /^(?:([0-9a-f]{128}) [ *]-\n)?(\.\/.+)$/s.exec(nameOf(rest));
      if (match === null) throw confused();
      files.set(below(match[2] ?? ''), match[1] ?? '');
    } else if (tag === 'U') {
      const path = below(nameOf(rest));
      if (!files.has(path)) files.set(path, '');
    } else if (tag === 'L') links.set(below(nameOf(rest)), nameOf(next()).replace(/\n$/, ''));
    else if (tag === 'X') others.push(below(nameOf(rest)));
    else if (tag === 'F') texts.set(below(nameOf(rest)), Buffer.from(next()));
    else if (tag === 'N' || tag === 'E') {
      const count = /^[0-9]{1,9}$/.test(nameOf(rest)) ? Number(nameOf(rest)) : null;
      if (count === null) throw confused();
      if (tag === 'E') ending = count;
    } else throw confused();
  }
  if (ending === null) throw confused();
  return { listing: { files, links, others, texts }, ending };
}

function* fieldsOf(output: Buffer): Generator<Buffer, undefined> {
  let start = 0;
  while (start < output.length) {
    const end = output.indexOf(0, start);
    if (end < 0) throw confused();
    yield output.subarray(start, end);
    start = end + 1;
  }
  return undefined;
}

/** `find .` names start with `./`. */
function below(path: string): string {
  if (!path.startsWith('./')) throw confused();
  return path.slice(2);
}

/** Valid sequences of UTF-8 (RFC 3629, section 4) in latin1, and single bytes that are none. */
const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are bytes
  /[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

/**
 * File names are bytes. Those that are not UTF-8 keep each foreign byte as a lone surrogate (U+DC80 to U+DCFF), so that no
 * two names become one.
 */
export function nameOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return bytes.toString('latin1').replace(SEQUENCES, (found) => {
    const isForeign = found.length === 1 && found > '\x7f';
    return isForeign
      ? String.fromCharCode(0xdc00 + found.charCodeAt(0))
      : Buffer.from(found, 'latin1').toString('utf8');
  });
}
