import { scriptText } from '../../../platform/script-text.ts';
import { SHARED_PARTS } from '../../../wireguard/installers/render.ts';

const own = new URL('at-home/', import.meta.url);

/** What is run at home, for the stdin of a POSIX shell as root; its first lines say what it can be asked. */
export function homeScript(): string {
  return scriptText(new URL('at-home.sh', own), { folders: { part: SHARED_PARTS, own } });
}
