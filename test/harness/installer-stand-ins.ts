/** What a distribution is known by, and what on it is a stand-in. */
export interface Distribution {
  /** The text of `/etc/os-release`. */
  readonly release: string;
  readonly manager: 'apt-get' | 'dnf' | 'yum' | 'zypper' | 'pacman' | 'apk';
  readonly init: 'systemd' | 'openrc' | 'none';
}

const systemd = { init: 'systemd' } as const;
export const DISTRIBUTIONS = {
  debian: { release: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', manager: 'apt-get', ...systemd },
  fedora: { release: 'PRETTY_NAME="Fedora Linux 42"\nID=fedora\n', manager: 'dnf', ...systemd },
  centos: { release: 'PRETTY_NAME="CentOS Linux 7"\nID="centos"\nID_LIKE="rhel fedora"\n', manager: 'yum', ...systemd },
  suse: {
    release: 'PRETTY_NAME="openSUSE Leap 15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n',
    manager: 'zypper',
    ...systemd,
  },
  arch: { release: 'PRETTY_NAME="Arch Linux"\nID=arch\n', manager: 'pacman', ...systemd },
  alpine: { release: 'PRETTY_NAME="Alpine Linux v3.21"\nID=alpine\n', manager: 'apk', init: 'openrc' },
  container: { release: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', manager: 'apt-get', init: 'none' },
} as const satisfies Record<string, Distribution>;

/** Programs that are hidden on a machine until a stand-in of its package manager "installs" them. */
export const PACKAGED: Readonly<Record<string, readonly string[]>> = {
  'wireguard-tools': ['wg', 'wg-quick'],
  'wireguard-go': ['wireguard-go'],
  curl: ['curl'],
};

/** All that a script could take for a package manager or an init; those that a machine has none of are hidden. */
export const SYSTEM_PROGRAMS = [
  ...['apt-get', 'dpkg-query', 'dnf', 'yum', 'zypper', 'rpm', 'pacman', 'apk'],
  ...['systemctl', 'journalctl', 'rc-update', 'rc-service', 'resolvconf', 'modprobe'],
];

/**
 * What stand-ins have in common. Calls go to /run/stand-in/calls, one a line; a call that fits a pattern of /run/stand-in/fail does
 * its work no more and fails; /run/stand-in/hang, likewise, makes it wait until it is ended.
 */
export const STAND_IN_LIBRARY = `
here=/run/stand-in
record() {
  printf '%s\\n' "$*" >>$here/calls
  for kind in fail hang; do
    [ -e $here/$kind ] || continue
    while IFS= read -r pattern; do
      case "$*" in
        $pattern)
          if [ $kind = hang ]; then echo "$$" >$here/hanging; exec sleep 600; fi
          echo "stand-in: told to fail at: $*" >&2; exit 1 ;;
      esac
    done <$here/$kind
  done
}
db=/var/lib/stand-in/installed
installed() { grep -qxF -e "$1" $db; }
add() {
  for one in "$@"; do
    installed "$one" && continue
    case " $(cat $here/unknown 2>/dev/null) " in *" $one "*) echo "stand-in: no package $one" >&2; exit 1 ;; esac
  done
  for one in "$@"; do
    installed "$one" && continue
    echo "$one" >>$db
    [ "$one" != epel-release ] || rm -f $here/unknown
    [ "$one" != wireguard-tools ] || installed libstandin0 || echo libstandin0 >>$db
    for file in $here/packages/$one/*; do [ ! -e "$file" ] || cp -p "$file" /usr/bin/; done
    if [ "$one" = wireguard-tools ] && [ -e $here/openrc-service ]; then cp -p $here/openrc-service /etc/init.d/wg-quick; fi
  done
}
take() {
  for one in "$@"; do
    installed "$one" || { echo "stand-in: $one is not installed" >&2; exit 1; }
    grep -vxF -e "$one" $db >$here/db; cat $here/db >$db
    for file in $here/packages/$one/*; do [ ! -e "$file" ] || rm "/usr/bin/\${file##*/}"; done
    if [ "$one" = wireguard-tools ] && [ -e $here/openrc-service ]; then rm /etc/init.d/wg-quick; fi
  done
}
# what is neither an option nor one's value
names() { for one in "$@"; do case $one in -* | DPkg::*) ;; *) printf '%s ' "$one" ;; esac; done; }
`;

const library = '. /usr/local/lib/stand-in.sh';
/** \`NAME VERB NAME...\`, options anywhere. */
const byVerb = (name: string, add: string, remove: string): string => `#!/bin/sh
${library}
record ${name} "$@"
set -- $(names "$@")
verb=$1; shift
case $verb in
  ${add}) add "$@" ;;
  ${remove}) take "$@" ;;
  update | refresh) rm -f $here/unknown ;;
  info) cat $db ;;
  *) exit 2 ;;
esac
`;
const lister = (name: string, line: string): string => `#!/bin/sh
${library}
record ${name} "$@"
sed 's/^/${line}/' $db
`;

/** Stand-ins, by what they are called. */
export const STAND_INS: Readonly<Record<string, string>> = {
  'apt-get': byVerb('apt-get', 'install', 'remove'),
  'dpkg-query': lister('dpkg-query', 'installed '),
  dnf: byVerb('dnf', 'install', 'remove'),
  yum: byVerb('yum', 'install', 'remove'),
  zypper: byVerb('zypper', 'install', 'remove'),
  // a real one lists keys too, the first of them when the first package is put in
  rpm: `${lister('rpm', 'installed ')}! installed wireguard-tools || echo 'installed gpg-pubkey'\n`,
  apk: byVerb('apk', 'add', 'del'),
  pacman: `#!/bin/sh
${library}
record pacman "$@"
verb=$1; shift
case $verb in
  -S) add $(names "$@") ;;
  -R) take $(names "$@") ;;
  -Qq) cat $db ;;
  *) exit 2 ;;
esac
`,
  systemctl: `#!/bin/sh
${library}
if [ "$1" = --version ]; then echo 'systemd 252 (252.39-1~deb12u1)'; exit 0; fi
record systemctl "$@"
verb=$1
[ "$2" != --now ] || { /usr/local/bin/systemctl stop "$3"; shift; }
unit=$2
name=\${unit#wg-quick@}; name=\${name%.service}
link=/etc/systemd/system/multi-user.target.wants/$unit
case $verb in
  enable) ln -s /lib/systemd/system/wg-quick@.service "$link" ;;
  disable) rm -f "$link" ;;
  is-enabled) [ -L "$link" ] ;;
  start | stop | restart | is-active)
    case $unit in
      *.timer)
        case $verb in
          start) echo >"$here/$unit" ;;
          stop) rm -f "$here/$unit" ;;
          *) [ -e "$here/$unit" ] ;;
        esac ;;
      wg-quick@*)
        case $verb in
          is-active) if [ -e /sys/class/net/$name ]; then echo active; else echo inactive; exit 3; fi ;;
          stop)
            rm -f "$here/$unit"
            [ ! -e /sys/class/net/$name ] || wg-quick down $name ;;
          *)
            # as a unit that stays active: what was started is not started again, whatever became of its interface
            if [ "$verb" = start ] && [ -e "$here/$unit" ]; then exit 0; fi
            { [ -e /sys/class/net/$name ] || wg-quick up $name; } && echo >"$here/$unit" ;;
        esac ;;
    esac ;;
  reset-failed | daemon-reload) ;;
  *) exit 2 ;;
esac
`,
  'rc-update': `#!/bin/sh
${library}
record rc-update "$@"
case $1 in
  add) [ -e /etc/init.d/$2 ] && ln -s /etc/init.d/$2 /etc/runlevels/$3/$2 ;;
  del) rm /etc/runlevels/$3/$2 ;;
  show) for one in /etc/runlevels/$2/*; do [ ! -L "$one" ] || printf ' %20s | %s\\n' "\${one##*/}" "$2"; done ;;
  *) exit 2 ;;
esac
`,
  'rc-service': `#!/bin/sh
${library}
record rc-service "$@"
# as openrc-run does it: the service's own functions
ebegin() { :; }
eend() { return $1; }
RC_SVCNAME=$1
. /etc/init.d/$1
case $2 in
  start) [ -e "$here/$1" ] || { start && echo >"$here/$1"; } ;;
  stop) stop && rm -f "$here/$1" ;;
  zap) rm -f "$here/$1" ;;
  *) exit 2 ;;
esac
`,
};

/** The service that Alpine's package has, in short. */
export const OPENRC_SERVICE = `#!/sbin/openrc-run
start() { wg-quick up "\${RC_SVCNAME#*.}"; }
stop() { wg-quick down "\${RC_SVCNAME#*.}"; }
`;
