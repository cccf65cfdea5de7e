/** No file of a release comes near; a huge one would only hold up the audit. */
const LARGEST = '268435456c';
/** How the script ends, as it says itself in its last field. */
export const ENDING = { complete: 0, notThere: 144, incomplete: 145 } as const;

const INCOMPLETE = `exit ${ENDING.incomplete}`;

/**
 * $1 folder, $2 `apps` when it counts only as a folder of apps, $3 one more file to be read, the rest a find expression that leaves out what is not meant.
 * Prints fields, each with a NUL at its end: `N` a number of files to come, to be added up; `H` and lines of sha512sum, `U` a file
 * that may not have been hashed, `L` a symlink and after it its target, `X` what else there is, `F` a file and after it its
 * content, and at the end `E` with how it ended. A line of sha512sum holds names that need no escaping only (coreutils and busybox
 * escape differently); files with other names are hashed one by one, through standard input, as `O` with hash and name.
 * Contents lose their NULs, or they could pretend to be fields. All of it goes through gzip where there is one: over a slow
 * line the transfer takes longer than the hashing.
 */
export const LISTING_SCRIPT = `
LC_ALL=C; export LC_ALL; set -u
list() (
  cd "$1" 2>/dev/null || { [ -e "$1" ] && ${INCOMPLETE}; exit ${ENDING.notThere}; }
  if [ "$2" = apps ]; then
    found=
    for one in ./*/appinfo/info.xml; do [ ! -e "$one" ] || { found=1; break; }; done
    [ -n "$found" ] || exit ${ENDING.notThere}
  fi
  also=$3
  shift 3
  n='
'
  r=$(printf '\\r')
  find . "$@" -type f -exec sh -c 'printf "N%s\\0" "$#"' sh {} + || ${INCOMPLETE}
  find . "$@" -type f ! -size +${LARGEST} ! -path "*$n*" ! -path "*$r*" ! -path '*\\\\*' -exec sh -c '
    printf H; sha512sum "$@"; bad=$?; printf "\\0"
    [ "$bad" = 0 ] || for one; do [ ! -e "$one" ] || printf "U%s\\0" "$one"; done
  ' sh {} + || ${INCOMPLETE}
  find . "$@" -type f ! -size +${LARGEST} \\( -path "*$n*" -o -path "*$r*" -o -path '*\\\\*' \\) -exec sh -c '
    for one; do printf O; sha512sum <"$one"; printf "%s\\0" "$one"; done
  ' sh {} + || ${INCOMPLETE}
  find . "$@" -type f -size +${LARGEST} -exec sh -c 'for one; do printf "U%s\\0" "$one"; done' sh {} + || ${INCOMPLETE}
  find . "$@" -type l -exec sh -c 'for one; do printf "L%s\\0" "$one"; readlink "$one"; printf "\\0"; done' sh {} + || ${INCOMPLETE}
  find . "$@" ! -type f ! -type l ! -type d -exec sh -c 'for one; do printf "X%s\\0" "$one"; done' sh {} + || ${INCOMPLETE}
  find . "$@" -type f ! -size +33554432c \\( -path '*/appinfo/signature.json' -o -path '*/appinfo/info.xml' \\
    -o -path ./core/signature.json -o -path ./core/shipped.json -o -path './resources/codesigning/root.cr[tl]' \\
    -o -path ./version.php -o -path "$also" -o -name .htaccess -o -name .user.ini \\) -exec sh -c '
    for one; do printf "F%s\\0" "$one"; tr -d "\\000" <"$one"; printf "\\0"; done
  ' sh {} + || ${INCOMPLETE}
)
pack() { if gzip -1 </dev/null >/dev/null 2>&1; then gzip -1; else cat; fi; }
{ list "$@"; printf 'E%s\\0' "$?"; } | pack
`;

const UPPER_CODE = [
  ...['-maxdepth', '2', '(', '-iname', '*.php*', '-o', '-iname', '*.pht*', '-o', '-iname', '*.phar', '-o', '-iname'],
  ...['*.inc', '-o', '-iname', '.htaccess', '-o', '-iname', '.user.ini', ')'],
];

/** What is to be listed of a folder. */
export interface ListingWish {
  /** Folders below it that are not entered. */
  readonly leaveOut?: readonly string[];
  /** It counts only when it holds an app. */
  readonly onlyApps?: boolean;
  /** A file whose content is wanted, too. */
  readonly read?: string;
  /** Only what could be run, and only in its two uppermost levels. */
  readonly onlyUpperCode?: boolean;
}

/** The command that lists a folder on the target. */
export function listingCommand(folder: string, wish: ListingWish): [string, ...string[]] {
  const expression = wish.onlyUpperCode === true ? UPPER_CODE : pruned(wish.leaveOut ?? []);
  const apps = wish.onlyApps === true ? 'apps' : '';
  const also = wish.read === undefined ? '' : literally(wish.read);
  return ['sh', '-c', LISTING_SCRIPT, 'sh', folder, apps, also, ...expression];
}

/** The find expression that does not enter these folders, given below the one that is walked. */
function pruned(folders: readonly string[]): string[] {
  if (folders.length === 0) return [];
  const tests = folders.flatMap((folder) => ['-o', '-path', literally(folder)]);
  return ['(', ...tests.slice(1), ')', '-prune', '-o'];
}

/** For the -path of find, which takes a pattern. */
function literally(path: string): string {
  return `./${path.replace(/[\\*?[\]]/g, '\\$&')}`;
}
