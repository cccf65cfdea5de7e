import { posix } from 'node:path';
import type { Transport } from '../transports/transport.ts';

/** What `config.php` and the files beside it say, read as text on the target; no other value of them leaves it. */
export interface SettingsLook {
  /** Every folder some file names as `path`, apps paths among them; absolute. */
  readonly paths: readonly string[];
  readonly dataDirectories: readonly string[];
  /** `instanceid` of config.php. */
  readonly instanceId: string | null;
  /** What Nextcloud last ran as, `33.0.1.2`. */
  readonly version: string | null;
  /** Paths that are put together by code, so that they cannot be read as text. */
  readonly unreadable: number;
  /** File name → the lines that hold anything but plain values. */
  readonly code: ReadonlyMap<string, CodeLines>;
}

export interface CodeLines {
  /** Counted from 1. */
  readonly lines: readonly number[];
  /** SHA-512 over these lines, in hex. */
  readonly hash: string;
}

/**
 * A line of plain values, quotes closed: strings without anything to be worked out, numbers, arrays, comments. A parenthesis
 * opens an array only, or a string could be called like a function; a comment ends with its line and not with `?>`.
 */
const PLAIN = [
  "'([^'\\\\]|\\\\.)*'",
  '"[^"\\\\$]*"',
  '-?[0-9][0-9.]*',
  'true|false|null|TRUE|FALSE|NULL',
  '[Aa]rray[[:space:]]*[(]',
  '\\\\?OC::[$]SERVERROOT[[:space:]]*[.]',
  '__DIR__[[:space:]]*[.]',
  '=>',
  '[],;)[]',
  '[[:space:]]',
].join('|');
// PHP ends a line comment at a lone carriage return too, and takes #[ for an attribute
const WORDS = '([^?\r]|[?]+[^?>\r])*[?]*';
const COMMENT = `(//${WORDS}|#([^[?\r]${WORDS})?)?\r?`;
export const PLAIN_LINE = `^(<[?]php)?[[:space:]]*([$]CONFIG[[:space:]]*=)?(${PLAIN})*${COMMENT}$`;

/** $1 folder, $2 pattern of plain lines, $3 pattern of settings. For each file: name, settings, numbers of the other lines, their hash, a NUL after each. */
const SCRIPT = `
LC_ALL=C; export LC_ALL
cd "$1" || exit 1
for one in ./config.php ./*.config.php; do
  [ -f "$one" ] || continue
  [ -r "$one" ] || exit 1
  printf '%s\\0' "$one"
  tr -d '\\000' <"$one" | grep -oaE -e "$3"; printf '\\0'
  tr '\\000' '?' <"$one" | grep -naEv -e "$2" | cut -d: -f1; printf '\\0'
  tr '\\000' '?' <"$one" | grep -aEv -e "$2" | sha512sum; printf '\\0'
done
`;
const SETTING = `['"](path|datadirectory|version|instanceid)['"][[:space:]]*=>[[:space:]]*[^,]*`;

/** Well below what a system takes, so that a folder can be put before it. */
const LONGEST_PATH = 2048;

/** `null` when the folder or one of its files cannot be read. */
export async function readSettings(transport: Transport, folder: string, root: string): Promise<SettingsLook | null> {
  const result = await transport.run(['sh', '-c', SCRIPT, 'sh', folder, PLAIN_LINE, SETTING]);
  return result.exit === 0 ? parseSettings(result.stdout.toString('utf8'), folder, root) : null;
}

/** Pure half of `readSettings`. */
export function parseSettings(output: string, folder: string, root: string): SettingsLook {
  const fields = output.split('\0').slice(0, -1);
  const paths = new Set<string>();
  const dataDirectories = new Set<string>();
  const code = new Map<string, CodeLines>();
  let version: string | null = null;
  let instanceId: string | null = null;
  let unreadable = 0;
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [name = '', settings = '', lines = '', hash = ''] = fields.slice(at, at + 4);
    const numbers = lines.split('\n').filter((line) => /^[0-9]{1,9}$/.test(line));
    code.set(name.replace(/^\.\//, ''), {
      lines: numbers.map(Number),
      hash: /^[0-9a-f]{128}/.exec(hash)?.[0] ?? '',
    });
    for (const setting of settings.split('\n').filter((line) => line !== '')) {
      const match = /^['"](path|datadirectory|version|instanceid)['"]\s*=>\s*(.*)$/s.exec(setting);
      const text = pathIn(match?.[2] ?? '', { OC: root, DIR: folder });
      if (match?.[1] === 'version') version ??= /^\d+(\.\d+){1,3}$/.test(text ?? '') ? text : null;
      else if (match?.[1] === 'instanceid') instanceId ??= /^[a-z0-9]{6,64}$/.test(text ?? '') ? text : null;
      else if (text === null) unreadable += 1;
      else if (text.startsWith('/') && text !== '/') {
        const path = posix.normalize(text).replace(/\/+$/, '');
        (match?.[1] === 'path' ? paths : dataDirectories).add(path);
      }
    }
  }
  return { paths: [...paths], dataDirectories: [...dataDirectories], instanceId, version, unreadable, code };
}

function pathIn(text: string, folders: { readonly OC: string; readonly DIR: string }): string | null {
  const match =
    /^(?:\\?(OC)::\$SERVERROOT\s*\.\s*|__(DIR)__\s*\.\s*)?(?:'((?:[^'\\]|\\.)*)'|"([^"\\$]*)")[\s)\];]*$/.exec(
      text.trim(),
    );
  if (match === null) return null;
  if (text.length > LONGEST_PATH) return null;
  const base = match[1] === 'OC' ? folders.OC : match[2] === 'DIR' ? folders.DIR : '';
  return base + (match[3]?.replace(/\\(['\\])/g, '$1') ?? match[4] ?? '');
}
