/**
 * The file operations of a target as POSIX shell over coreutils (busybox where it has the same options), because SFTP is
 * not everywhere and does not go through sudo. The texts are constant: paths and values arrive as positional parameters,
 * contents and secrets on stdin. A script works inside the folder it has entered, by `./name`, and touches owner and mode
 * through the open file, so that whoever owns that folder cannot redirect it with a symlink.
 */

/** Exit codes by which a script says what it found; everything else is a failure it did not foresee. */
export const SCRIPT_EXIT = {
  notThere: 144,
  exists: 145,
  wrongKind: 146,
  cutShort: 147,
  lockLost: 148,
  mountedInside: 149,
  tooLarge: 150,
  moved: 151,
  busy: 152,
} as const;

const START = `
LC_ALL=C; export LC_ALL; umask 077; set -u
missing() { case $1 in *': No such file or directory'|*': Not a directory') exit 144;; esac; printf '%s\\n' "$1" >&2; exit 1; }
enter() { problem=$(cd "$1" 2>&1) || { [ -e "$1" ] || [ -h "$1" ] || problem=$(stat -c %f "$1/." 2>&1) || missing "$problem"; exit 1; }; cd "$1" || exit 1; }
there() { [ -e "$1" ] || [ -h "$1" ]; }
durable() { sync "$@" 2>/dev/null || sync; }
`;

/** For scripts that move: whether mv and ln can be told not to move into a folder. Old busybox cannot. */
const MOVES = `
case $(mv -T 2>&1) in *'invalid option'*|*'unrecognized option'*) T=;; *) T=T;; esac
`;

const FIELDS = '%f:%u:%g:%s:%Y:%U:%G';

/** $1 path → one line of fields. */
export const STAT = `${START}
line=$(stat -c '${FIELDS}' "$1" 2>&1) || missing "$line"
printf '%s\\n' "$line"
`;

/** $1 path, $2 most bytes → the bytes. */
export const READ = `${START}
size=$(stat -L -c %s "$1" 2>&1) || missing "$size"
[ -f "$1" ] || exit 146
[ "$size" -le "$2" ] || exit 150
exec head -c "$(($2 + 1))" "$1"
`;

/** $1 folder → for each batch: lines of fields, NUL, names each with a NUL, NUL. */
export const LIST = `${START}
kind=$(stat -L -c %F "$1" 2>&1) || missing "$kind"
[ -d "$1" ] || exit 146
cd "$1" || exit 1
find . ! -name . -prune -exec sh -c 'stat -c "${FIELDS}" "$@" 2>/dev/null; printf "\\0"; printf "%s\\0" "$@"; printf "\\0"' sh {} +
`;

/** $1 path → its real name and a newline. */
export const REAL_PATH = `${START}
kind=$(stat -L -c %F "$1" 2>&1) || missing "$kind"
exec readlink -f "$1"
`;

/** $1 folder → for each batch of files: modes, NUL, hash lines, NUL, names, NUL; then NUL NUL and the names of all else. */
export const DIGEST = `${START}
kind=$(stat -L -c %F "$1" 2>&1) || missing "$kind"
[ -d "$1" ] || exit 146
cd "$1" || exit 1
find . -type f -exec sh -c 'stat -c %a "$@"; printf "\\0"; sha256sum "$@"; printf "\\0"; printf "%s\\0" "$@"; printf "\\0"' sh {} + || exit 1
printf '\\0\\0'
find . ! -type f ! -type d -exec printf '%s\\0' {} +
`;

const TEMPORARY = `
enter "$1"
trap 'rm -f "./$3"' EXIT
trap 'exit 1' HUP INT TERM PIPE
set -C
exec 3>"./$3" || exit 1
set +C
cat >&3 || exit 1
[ "$(wc -c </proc/self/fd/3)" -eq "$4" ] || exit 147
[ "$(stat -L -c %u:%g /proc/self/fd/3)" = "$6" ] || chown "$6" /proc/self/fd/3 || exit 1
chmod "$5" /proc/self/fd/3 || exit 1
durable "./$3"
`;

/** $1 folder, $2 name, $3 temporary name, $4 length, $5 mode, $6 uid:gid; stdin the content. */
export const WRITE = `${START}${MOVES}${TEMPORARY}
[ ! -d "./$2" ] || exit 146
mv -f$T "./$3" "./$2" || exit 1
durable .
`;

/** The same; a hard link is the one way to give a complete file its name only when the name is free. */
export const CREATE = `${START}${MOVES}${TEMPORARY}
there "./$2" && exit 145
ln \${T:+-T} "./$3" "./$2" 2>/dev/null || { there "./$2" && exit 145; exit 1; }
durable .
`;

/** $1 folder, $2 name, $3 guard file or ''; stdin: what the guard must hold, then the line. Of a full disk cat can tell, dash cannot. */
export const APPEND = `${START}
IFS= read -r holds || exit 147
IFS= read -r line || exit 147
if [ -n "$3" ]; then [ "$(cat "$3" 2>/dev/null)" = "$holds" ] || exit 148; fi
enter "$1"
there "./$2" && { [ -f "./$2" ] && [ ! -h "./$2" ] || exit 146; }
before=
[ ! -s "./$2" ] || [ -z "$(tail -c 1 "./$2")" ] || before='
'
printf '%s%s\\n' "$before" "$line" | cat >>"./$2" || exit 1
durable "./$2" .
`;

/** $1 folder, $2 name, $3 temporary name, $4 mode, $5 uid:gid. */
export const MAKE_DIRECTORY = `${START}${MOVES}
enter "$1"
refuse_taken() { there "$1" || return 0; [ ! -h "$1" ] && [ -d "$1" ] && exit 145; exit 146; }
refuse_taken "./$2"
here=$(pwd -P)
mkdir "./$3" || exit 1
trap 'cd "$here" && rmdir "./$3" 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM PIPE
cd -P "./$3" && [ "$(pwd -P)" = "\${here%/}/$3" ] || exit 151
[ "$(stat -c %u:%g .)" = "$5" ] || chown "$5" . || exit 1
chmod "$4" . || exit 1
cd "$here" || exit 1
refuse_taken "./$2"
mv \${T:+-T} "./$3" "./$2" || { refuse_taken "./$2"; exit 1; }
durable .
`;

/** $1 folder, $2 name, $3 folder, $4 name. */
export const RENAME = `${START}${MOVES}
there "$1/$2" || exit 144
enter "$3"
there "./$4" && exit 145
mv \${T:+-T} "$1/$2" "./$4" || exit 1
durable . "$1"
`;

/** $1 folder, $2 name. */
export const REMOVE = `${START}
enter "$1"
there "./$2" || exit 0
if [ -d "./$2" ] && [ ! -h "./$2" ]; then rmdir "./$2" || exit 1; else rm -f "./$2" || exit 1; fi
durable .
`;

/** $1 folder, $2 name. */
export const REMOVE_TREE = `${START}
enter "$1"
there "./$2" || exit 0
[ -d "./$2" ] && [ ! -h "./$2" ] || exit 146
tree="$(pwd -P)"; tree="\${tree%/}/$2"
tree=$(printf '%s' "$tree" | sed 's/ /\\\\040/g')
while read -r _ _ _ _ place _; do
  case $place in "$tree"|"$tree"/*) exit 149;; esac
done </proc/self/mountinfo
rm -rf "./$2" || exit 1
durable .
`;

/** $1 file, $2 seconds. Where there is no flock (util-linux, busybox) nothing is held and nothing is waited for. */
export const IDLE = `${START}
command -v flock >/dev/null 2>&1 || exit 0
exec 9>>"$1" || exit 1
left=$2
until flock -n 9 2>/dev/null; do
  [ "$left" -gt 0 ] || exit 152
  left=$((left - 1)); sleep 1
done
`;

export const MANIFEST_NAME = '.latchkey-manifest';

/** $1 folder, $2 name, $3 temporary name, $4 mode, $5 uid:gid; stdin: tar, its last file the hashes of all others. */
export const UPLOAD_TREE = `${START}${MOVES}
enter "$1"
there "./$2" && exit 145
here=$(pwd -P)
mkdir "./$3" || exit 1
trap 'cd "$here" && rm -rf "./$3"' EXIT
trap 'exit 1' HUP INT TERM PIPE
cd -P "./$3" && [ "$(pwd -P)" = "\${here%/}/$3" ] || exit 151
problem=$(tar -xpf - 2>&1) || {
  printf '%s\\n' "$problem" >&2
  case $problem in *'No space left'*|*'quota exceeded'*|*'Read-only'*) exit 1;; *) exit 147;; esac
}
[ -f ./${MANIFEST_NAME} ] || exit 147
sha256sum -c ./${MANIFEST_NAME} >/dev/null 2>&1 || exit 147
rm -f ./${MANIFEST_NAME} || exit 1
[ "$(stat -c %u:%g .)" = "$5" ] || chown -hR "$5" . || exit 1
chmod "$4" . || exit 1
sync -f . 2>/dev/null || sync
cd "$here" || exit 1
there "./$2" && exit 145
mv \${T:+-T} "./$3" "./$2" || exit 1
durable .
`;
