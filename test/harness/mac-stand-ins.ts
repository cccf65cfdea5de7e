const library = '. /usr/local/lib/stand-in.sh';

/** Programs that every Mac has and that are this system's, but for options of GNU's alone. */
export const SHARED_PROGRAMS = [
  ...['awk', 'cat', 'chmod', 'chown', 'cut', 'date', 'grep', 'id', 'ln', 'ls', 'mkdir', 'mktemp', 'mv', 'rm'],
  ...['rmdir', 'sed', 'sleep', 'sort', 'tail', 'tr', 'wc'],
];

/** Refuses what the programs of a Mac do not know; patterns are of sh. */
const GNU_ONLY: Readonly<Record<string, string>> = {
  date: '-d* | -I*',
  grep: '-P*',
  ln: '-T* | -r*',
  mktemp: '-p*',
  sed: '-r* | -i* | -z* | -s*',
  sort: '-V*',
};

export function guarded(name: string, real: string): string {
  const also = GNU_ONLY[name] === undefined ? '' : ` | ${GNU_ONLY[name]}`;
  return `#!/bin/sh
for one in "$@"; do
  case $one in --?*${also}) echo "stand-in: $one is not an option of the ${name} of a Mac" >&2; exit 64 ;; esac
done
exec ${real} "$@"
`;
}

/** `uname` and others that tell a Mac; `SHAPE` is a file with what they say. */
export const MAC_PROGRAMS: Readonly<Record<string, string>> = {
  uname: `#!/bin/sh
case $1 in
  -s) echo Darwin ;;
  -m) cat /run/stand-in/mac-says ;;
  -srm) echo "Darwin 24.1.0 $(cat /run/stand-in/mac-says)" ;;
  *) exit 64 ;;
esac
`,
  sw_vers: '#!/bin/sh\n[ "$*" = -productVersion ] && echo 15.1\n',
  sysctl: '#!/bin/sh\n[ "$*" = "-n hw.optional.arm64" ] && cat /run/stand-in/mac-is-arm\n',
  ping: `#!/bin/sh
[ "$#" = 5 ] && [ "$1 $2 $3 $4" = '-c 1 -W 1000' ] || { echo "ping: not as on a Mac: $*" >&2; exit 64; }
exec busybox ping -c 1 -W 1 "$5"
`,
  ping6: '#!/bin/sh\n[ "$#" = 3 ] && [ "$1 $2" = "-c 1" ] && exec busybox ping -6 -c 1 -W 1 "$3"\n',
  shasum: '#!/bin/sh\n[ "$*" = "-a 256" ] && exec /usr/bin/sha256sum\n',
  sudo: `#!/bin/sh
if [ "$1" = sh ]; then SUDO_USER=ann exec "$@"; fi
${library}
record sudo "$@"
[ "$1 $2" = '-H -u' ] || exit 64
user=$3; shift 3
exec /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups env -i HOME="/Users/$user" PATH=/usr/bin:/bin:/usr/sbin:/sbin "$@"
`,
  launchctl: `#!/bin/sh
${library}
case $1 in
  print) [ -e "/run/stand-in/launchd/\${2#system/}" ] || exit 113; exit 0 ;;
esac
record launchctl "$@"
exec python3 -B /run/stand-in/launchd.py "$@"
`,
};

/** Keeps jobs, as launchd does: plists that are not root's or not well-formed are not taken, what a job leaves running is ended unless it says otherwise, and a bootout is done a moment after it is said. */
export const LAUNCHD = `
import os, plistlib, pwd, signal, subprocess, sys, time
here = '/run/stand-in/launchd'
os.makedirs(here, exist_ok=True)

def fail(code, words):
    print(words, file=sys.stderr)
    sys.exit(code)

def detach():
    if os.fork(): os._exit(0)
    os.setsid()
    if os.fork(): os._exit(0)
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2): os.dup2(null, fd)

def read(path):
    with open(path, 'rb') as file: return plistlib.load(file, fmt=plistlib.FMT_XML)

# by itself from here on, and for as long as launchd would have it run
def keep(job, loaded):
    if os.fork(): sys.exit(0)
    detach()
    env = dict(job.get('EnvironmentVariables', {}), XPC_SERVICE_NAME=job['Label'])
    while True:
        with open(job['StandardErrorPath'], 'ab') as log:
            os.umask(job.get('Umask', 0o022))
            user = job.get('UserName')
            if user: os.fchown(log.fileno(), pwd.getpwnam(user).pw_uid, -1)
            cwd = job.get('WorkingDirectory', '/')
            running = subprocess.Popen(job['ProgramArguments'], env=env, cwd=cwd, stderr=log, user=user, group=user, start_new_session=True)
        with open(loaded, 'w') as file: file.write(f'{os.getpid()} {running.pid}')
        code = running.wait()
        if not job.get('AbandonProcessGroup'):
            try: os.killpg(running.pid, signal.SIGKILL)
            except ProcessLookupError: pass
        alive = job.get('KeepAlive', False)
        if alive is not True and (code == 0 or not alive or alive.get('SuccessfulExit') is not False): break
        time.sleep(1)
    # what is kicked off later may have the numbers of others
    open(loaded, 'w').close()

if sys.argv[1] == 'bootstrap' and sys.argv[2] == 'system':
    path = sys.argv[3]
    about = os.stat(path)
    if about.st_uid or about.st_gid or about.st_mode & 0o7777 != 0o644: fail(5, 'Bootstrap failed: 5: Input/output error')
    job = read(path)
    label = job['Label']
    loaded = f'{here}/{label}'
    if os.path.basename(path) != label + '.plist' or os.path.exists(loaded): fail(5, 'Bootstrap failed: 5: Input/output error')
    open(loaded, 'w').close()
    if not job.get('RunAtLoad'): sys.exit(0)
    keep(job, loaded)
elif sys.argv[1] == 'kickstart':
    label = sys.argv[2].removeprefix('system/')
    loaded = f'{here}/{label}'
    if not os.path.exists(loaded): fail(113, 'Could not find service')
    if open(loaded).read(): sys.exit(0)
    keep(read(f'/Library/LaunchDaemons/{label}.plist'), loaded)
elif sys.argv[1] == 'bootout':
    loaded = here + '/' + sys.argv[2].removeprefix('system/')
    if not os.path.exists(loaded): fail(3, 'Boot-out failed: 3: No such process')
    if os.fork(): fail(36, 'Boot-out failed: 36: Operation now in progress')
    detach()
    time.sleep(0.3)
    for pid in [int(word) for word in open(loaded).read().split()]:
        try: os.kill(pid, signal.SIGTERM)
        except ProcessLookupError: pass
    os.unlink(loaded)
else:
    fail(64, 'stand-in: not known')
`;

/** Homebrew for \`brew install wireguard-tools\`: refuses root, and knows what belongs to it. */
export const BREW = `#!/bin/sh
if [ "$(id -u)" = 0 ]; then echo 'Error: Running Homebrew as root is extremely dangerous and no longer supported.' >&2; exit 1; fi
[ -w "$HOME" ] && [ -r . ] || { echo 'stand-in: started where its user may not be' >&2; exit 1; }
prefix=\${0%/bin/brew}
programs() {
  case $1 in
    bash) echo bash ;;
    wireguard-go) echo wireguard-go ;;
    wireguard-tools) echo wg wg-quick ;;
  esac
}
case "$*" in
  'list --formula -1') ls -1 "$prefix/Cellar" ;;
  'install wireguard-tools')
    for one in bash readline wireguard-go wireguard-tools; do
      [ -d "$prefix/Cellar/$one" ] && continue
      mkdir -p "$prefix/Cellar/$one/bin"
      for program in $(programs $one); do
        cp "/run/stand-in/bottles/$program" "$prefix/Cellar/$one/bin/$program"
        ln -s "../Cellar/$one/bin/$program" "$prefix/bin/$program"
      done
    done ;;
  'uninstall --formula '*)
    shift 2
    for one in "$@"; do
      [ -d "$prefix/Cellar/$one" ] || exit 1
      for program in $(programs $one); do rm "$prefix/bin/$program"; done
      rm -r "$prefix/Cellar/$one"
    done ;;
  *) exit 64 ;;
esac
`;

/** wg-quick of Darwin in short: the interface is utun and a number. Some stay as long as the tunnel when launchd has started them: \`stays\`. */
export const DARWIN_WG_QUICK = `#!/usr/bin/env bash
set -e
${library}
record wg-quick "$@"
self=$(cd "\${0%/*}" && pwd -P)
[ "$BASH" = "$self/bash" ] || { echo 'wg-quick: Version mismatch: bash 3 detected, when bash 4+ required' >&2; exit 1; }
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:$self:$PATH"
conf=$2; name=\${conf##*/}; name=\${name%.conf}
folder=/var/run/wireguard; file=$folder/$name.name
live=; [ ! -f "$file" ] || live=$(cat "$file")
case $1 in
  up)
    [ -z "$live" ] || [ ! -S "$folder/$live.sock" ] || { echo "wg-quick: $name already exists as $live" >&2; exit 1; }
    mkdir -p $folder
    number=4; while [ -e /sys/class/net/utun$number ]; do number=$((number + 1)); done
    live=utun$number
    trap 'rm -f "$folder/$live.sock" "$file"; exit 1' INT TERM EXIT
    wireguard-go $live >/dev/null
    echo $live >"$file"
    wg addconf $live <(grep -v -e '^Address' -e '^DNS' -e '^MTU' "$conf")
    for address in $(sed -n 's/^Address = //p' "$conf" | tr -d ,); do ip address add "$address" dev $live; done
    ip link set $live up
    for network in $(sed -n 's/^AllowedIPs = //p' "$conf" | tr -d ,); do ip route replace "$network" dev $live; done
    echo '[+] Backgrounding route monitor' >&2
    trap - INT TERM EXIT
    if [ -e /run/stand-in/stays ] && [ -n "$XPC_SERVICE_NAME" ]; then while [ -S "$folder/$live.sock" ]; do sleep 0.2; done; fi ;;
  down)
    [ -n "$live" ] && [ -S "$folder/$live.sock" ] || { echo "wg-quick: $name is not a WireGuard interface" >&2; exit 1; }
    rm -f "$folder/$live.sock" "$file"
    # it sees that its socket is gone
    while [ -e /sys/class/net/$live ]; do sleep 0.1; done ;;
  *) exit 64 ;;
esac
`;
