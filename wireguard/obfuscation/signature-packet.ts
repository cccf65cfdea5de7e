/**
 * The text of I1 to I5: tags one after the other, each of which stands for bytes of a packet. `<b 0xHEX>` those very bytes,
 * `<r N>` random ones, `<rd N>` random digits, `<rc N>` random letters, `<t>` the time (4 bytes). A tag `<c>` (a counter) is known to the
 * kernel module and refused by amneziawg-go, so it is refused here.
 */
const TAG = /<(?:b 0x([0-9a-fA-F]+)|(r|rd|rc) ([1-9][0-9]{0,3})|(t))>/y;

/** A packet that would not be cut on its way. */
const MAX_BYTES = 1280;
const TIME_BYTES = 4;

/** What is wrong with the text, in words that follow the key's name; `null` when nothing is. */
export function packetProblem(text: string): string | null {
  let bytes = 0;
  let at = 0;
  while (at < text.length) {
    TAG.lastIndex = at;
    const tag = TAG.exec(text);
    if (tag === null) return 'must be made of <b 0xHEX>, <r N>, <rd N>, <rc N> and <t>';
    const [whole, hex, , count] = tag;
    if (hex !== undefined && hex.length % 2 !== 0) return 'must have an even number of hex digits in <b 0x…>';
    bytes += hex !== undefined ? hex.length / 2 : count !== undefined ? Number(count) : TIME_BYTES;
    at += whole.length;
  }
  if (bytes === 0) return 'must not be empty';
  return bytes > MAX_BYTES ? `must be a packet of at most ${MAX_BYTES} bytes` : null;
}
