import { LatchkeyError } from '../../platform/errors.ts';
import type { Transport } from '../transports/transport.ts';

/** What a folder on the target holds, as the tools there tell it. Paths are below the folder. */
export interface TreeListing {
  /** SHA-512 in hex of each regular file; '' where there is none to be had (unreadable, or larger than LARGEST). */
  readonly files: ReadonlyMap<string, string>;
  /** Symlinks and where they point, as written; none is followed. */
  readonly links: ReadonlyMap<string, string>;
  /** What is neither file, folder nor symlink. */
  readonly others: readonly string[];
  /** The content of what has to be read: signed lists, app descriptions, rules for the web server. Without its NUL bytes. */
  readonly texts: ReadonlyMap<string, Buffer>;
}

/** No file of a release comes near; a huge one would only hold up the audit. */
const LARGEST = '268435456c';
const LISTING_MAX_BYTES = 192 * 1024 * 1024;
const LISTING_TIMEOUT_MS = 900_000;
const NOT_THERE = 144;
const INCOMPLETE = 145;

/**
 * $1 folder, $2 `apps` when it counts only as a folder of apps, the rest a find expression that leaves out what is not meant.
 * Prints fields, each with a NUL at its end: `H` and lines of sha512sum, `U` a file that may not have been hashed, `L` a symlink and
 * after it its target, `X` what else there is, `F` a file and after it its content, `.` the end. A line of sha512sum holds
 * names that need no escaping only (coreutils and busybox escape differently); files with other names are hashed one by one,
 * through standard input, as `O` with hash and name. Contents lose their NULs, or they could pretend to be fields.
 */
const SCRIPT = `
LC_ALL=C; export LC_ALL; set -u
cd "$1" 2>/dev/null || { [ -e "$1" ] && exit ${INCOMPLETE}; exit ${NOT_THERE}; }
if [ "$2" = apps ]; then
  found=
  for one in ./*/appinfo/info.xml; do [ ! -e "$one" ] || { found=1; break; }; done
  [ -n "$found" ] || exit ${NOT_THERE}
fi
shift 2
n='
'
r=$(printf '\\r')
find . "$@" -type f ! -size +${LARGEST} ! -path "*$n*" ! -path "*$r*" ! -path '*\\\\*' -exec sh -c '
  printf H; sha512sum "$@"; bad=$?; printf "\\0"
  [ "$bad" = 0 ] || for one; do [ ! -e "$one" ] || printf "U%s\\0" "$one"; done
' sh {} + || exit ${INCOMPLETE}
find . "$@" -type f ! -size +${LARGEST} \\( -path "*$n*" -o -path "*$r*" -o -path '*\\\\*' \\) -exec sh -c '
  for one; do printf O; sha512sum <"$one"; printf "%s\\0" "$one"; done
' sh {} + || exit ${INCOMPLETE}
find . "$@" -type f -size +${LARGEST} -exec sh -c 'for one; do printf "U%s\\0" "$one"; done' sh {} + || exit ${INCOMPLETE}
find . "$@" -type l -exec sh -c 'for one; do printf "L%s\\0" "$one"; readlink "$one"; printf "\\0"; done' sh {} + || exit ${INCOMPLETE}
find . "$@" ! -type f ! -type l ! -type d -exec sh -c 'for one; do printf "X%s\\0" "$one"; done' sh {} + || exit ${INCOMPLETE}
find . "$@" -type f ! -size +33554432c \\( -path '*/appinfo/signature.json' -o -path '*/appinfo/info.xml' \\
  -o -path ./core/signature.json -o -path ./core/shipped.json -o -path ./resources/codesigning/root.crt \\
  -o -path ./version.php -o -name .htaccess -o -name .user.ini \\) -exec sh -c '
  for one; do printf "F%s\\0" "$one"; tr -d "\\000" <"$one"; printf "\\0"; done
' sh {} + || exit ${INCOMPLETE}
printf '.\\0'
`;

/**
 * Hashes everything below a folder on the target, in one transfer; with `onlyUpperCode` only what could be run, and only in its
 * two uppermost levels. `null` when it is not there (or, with `onlyApps`, holds no app). Throws `audit_incomplete` (exit 3) when something in it may not be looked at.
 */
export async function listTree(
  transport: Transport,
  folder: string,
  options: {
    readonly leaveOut?: readonly string[];
    readonly onlyApps?: boolean;
    readonly onlyUpperCode?: boolean;
  } = {},
): Promise<TreeListing | null> {
  const argv = ['sh', '-c', SCRIPT, 'sh', folder, options.onlyApps === true ? 'apps' : ''] as const;
  const result = await transport.run(
    [...argv, ...(options.onlyUpperCode === true ? UPPER_CODE : pruned(options.leaveOut ?? []))],
    {
      maxBytes: LISTING_MAX_BYTES,
      timeoutMs: LISTING_TIMEOUT_MS,
    },
  );
  if (result.exit === NOT_THERE) return null;
  if (result.exit !== 0) {
    throw new LatchkeyError('audit_incomplete', `not everything in ${folder} could be looked at`, {
      exit: 3,
      hint: 'log in as root, or use --sudo; if files come and go meanwhile, try again',
      extra: { exit: result.exit, stderr: result.stderr.slice(-4096) },
    });
  }
  return parseListing(result.stdout);
}

const UPPER_CODE = [
  ...['-maxdepth', '2', '(', '-iname', '*.php*', '-o', '-iname', '*.pht*', '-o', '-iname', '*.phar', '-o', '-iname'],
  ...['*.inc', '-o', '-iname', '.htaccess', '-o', '-iname', '.user.ini', ')'],
];

/** The find expression that does not enter these folders, given below the one that is walked. */
function pruned(folders: readonly string[]): string[] {
  if (folders.length === 0) return [];
  const tests = folders.flatMap((folder) => ['-o', '-path', `./${folder.replace(/[\\*?[\]]/g, '\\$&')}`]);
  return ['(', ...tests.slice(1), ')', '-prune', '-o'];
}

function confused(): LatchkeyError {
  return new LatchkeyError('target_answer', 'the target answered in a form that is not understood', {
    hint: 'its find or sha512sum may not be the ones of coreutils or busybox',
  });
}

/** Pure: reads what the script prints; anything else throws `target_answer`. */
export function parseListing(output: Buffer): TreeListing {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  const others: string[] = [];
  const texts = new Map<string, Buffer>();
  const fields = fieldsOf(output);
  let ended = false;
  for (let field = fields.next(); field.done !== true; field = fields.next()) {
    if (ended) throw confused();
    const [tag, rest] = [String.fromCharCode(field.value[0] ?? 0), field.value.subarray(1)];
    const next = (): Buffer => {
      const following = fields.next();
      if (following.done === true) throw confused();
      return following.value;
    };
    if (tag === 'H') {
      for (const line of rest.toString('utf8').split('\n').slice(0, -1)) {
        const match = /^([0-9a-f]{128}) [ *](\.\/[^\0]+)$/.exec(line);
        if (match === null) throw confused();
        files.set(below(match[2] ?? ''), match[1] ?? '');
      }
    } else if (tag === 'O') {
      // an unreadable one has no hash before its name
      const match = /^(?:([0-9a-f]{128}) [ *]-\n)?(\.\/.+)$/s.exec(rest.toString('utf8'));
      if (match === null) throw confused();
      files.set(below(match[2] ?? ''), match[1] ?? '');
    } else if (tag === 'U') {
      const path = below(rest.toString('utf8'));
      if (!files.has(path)) files.set(path, '');
    } else if (tag === 'L') links.set(below(rest.toString('utf8')), next().toString('utf8').replace(/\n$/, ''));
    else if (tag === 'X') others.push(below(rest.toString('utf8')));
    else if (tag === 'F') texts.set(below(rest.toString('utf8')), Buffer.from(next()));
    else if (tag === '.' && rest.length === 0) ended = true;
    else throw confused();
  }
  if (!ended) throw confused();
  return { files, links, others, texts };
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
