/**
 * Stand-in for snapd's `snap`, as far as ncpatch and its administrator use it: one snap, whose revisions are squashfs
 * images in /var/lib/snapd/snaps. It mounts, copies and links as snapd does, and runs programs in a mount namespace that
 * hides or write-protects what AppArmor keeps from a snap. It speaks German unless LC_ALL is C.
 *
 * What a test tells it is in /var/lib/snapd/stand-in: `revisions` (lines of "REVISION VERSION"), `notes`, `hold`,
 * `stopped`, and `refresh-at`, a word of occ's arguments at which a refresh comes in between.
 */
export const SNAP_COMMAND = `#!/bin/sh
set -eu
told=/var/lib/snapd/stand-in code=/snap/nextcloud data=/var/snap/nextcloud
private=/tmp/snap-private-tmp/snap.nextcloud/tmp
fail() { echo "error: $1" >&2; exit 1; }
current() { readlink "$data/current" 2>/dev/null || true; }
version() { sed -n "s/^$1 //p" "$told/revisions"; }

list() {
  if [ "\${LC_ALL-}" = C ]; then echo 'Name Version Rev Tracking Publisher Notes'
  else echo 'Name Version Rev Verfolgung Herausgeber Anmerkungen'; fi
  while read -r revision version; do
    [ -d "$data/$revision" ] || continue
    notes=$(cat "$told/notes" 2>/dev/null || true)
    if [ "$revision" != "$(current)" ]; then [ "\${1-}" = --all ] || continue; notes=disabled; fi
    printf 'nextcloud  %s  %s  latest/stable  nextcloud**  %s\\n' "$version" "$revision" "\${notes:--}"
  done <"$told/revisions"
}

services() {
  echo 'Service Startup Current Notes'
  state=active
  [ ! -e "$told/stopped" ] && [ -n "$(current)" ] || state=inactive
  for name in apache mysql nextcloud-cron php-fpm redis-server; do echo "nextcloud.$name enabled $state -"; done
  echo 'nextcloud.logrotate enabled inactive timer-activated'
}

# $1 bash or a program of the snap, then its arguments
confined() {
  revision=$(current)
  [ -n "$revision" ] || fail 'snap "nextcloud" is disabled'
  SNAP=$code/$revision SNAP_DATA=$data/$revision SNAP_COMMON=$data/common
  SNAP_NAME=nextcloud SNAP_INSTANCE_NAME=nextcloud SNAP_REVISION=$revision SNAP_VERSION=$(version "$revision")
  PATH=$SNAP/usr/sbin:$SNAP/usr/bin:$SNAP/sbin:$SNAP/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export SNAP SNAP_DATA SNAP_COMMON SNAP_NAME SNAP_INSTANCE_NAME SNAP_REVISION SNAP_VERSION PATH
  exec unshare -m sh -c 'set -e
    private=$1; shift
    for path in /root /home /opt /srv /var/lib/latchkey /var/lib/snapd/snapshots; do
      [ ! -d "$path" ] || mount -t tmpfs -o ro,mode=000 tmpfs "$path"
    done
    for other in /var/snap/nextcloud/*; do
      case $other in */common | */current | "$SNAP_DATA") continue ;; esac
      mount --bind "$other" "$other"
      mount -o remount,bind,ro "$other"
    done
    mount -o remount,bind,ro /etc 2>/dev/null || { mount --bind /etc /etc; mount -o remount,bind,ro /etc; }
    mkdir -p "$private/run"
    [ ! -d /run/snap.nextcloud ] || mount --bind /run/snap.nextcloud "$private/run"
    mount -t tmpfs tmpfs /run
    mkdir /run/snap.nextcloud
    if mountpoint -q "$private/run"; then mount --move "$private/run" /run/snap.nextcloud; else rmdir /run/snap.nextcloud; fi
    mount -o remount,ro /run
    mount -t tmpfs -o ro tmpfs /dev/shm
    mount --bind "$private" /tmp
    exec "$@"' sh "$private" "$@"
}

start() {
  [ -n "$(current)" ] || return 0
  mkdir -p "$private/sockets"
  touch "$private/sockets/php-fpm.sock" "$private/sockets/redis.sock"
  rm -f "$told/stopped"
  revision=$(current)
  (confined "$code/$revision/bin/setup-nextcloud") >>"$told/setup.log" 2>&1 || true
}

stop() {
  rm -f "$private/sockets/php-fpm.sock" "$private/sockets/redis.sock"
  touch "$told/stopped"
}

# $1 revision
put_in() {
  mkdir -p "$code/$1"
  mountpoint -q "$code/$1" || mount -t squashfs -o loop,ro "/var/lib/snapd/snaps/nextcloud_$1.snap" "$code/$1"
}

# $1 revision; its data is a copy of the present one's, made while nothing runs
refresh() {
  [ "$1" != "$(current)" ] || { echo 'snap "nextcloud" has no updates available' >&2; return 0; }
  put_in "$1"
  stop
  rm -rf "\${data:?}/$1"
  cp -a "$data/$(current)" "$data/$1"
  current >"$told/previous"
  use "$1"
  start
}

use() {
  ln -sfn "$1" "$code/current"
  ln -sfn "$1" "$data/current"
}

newest() { tail -n 1 "$told/revisions" | cut -d ' ' -f 1; }

command=$1
shift
case $command in
list) list "$@" ;;
services) services ;;
start) start ;;
stop) stop ;;
install)
  put_in "$1"
  mkdir -p "$data/$1" "$data/common" "$private"
  use "$1"
  start
  ;;
disable) stop; current >"$told/previous"; rm "$code/current" "$data/current" ;;
enable) use "$(cat "$told/previous")"; start ;;
refresh)
  case $* in
  --time) printf 'timer: 00:00~24:00/4\\nlast: today at 03:11 UTC\\n'; cat "$told/hold" 2>/dev/null || true ;;
  nextcloud) refresh "$(newest)" ;;
  *) fail "unknown flag" ;;
  esac
  ;;
revert)
  previous=$(cat "$told/previous")
  stop
  current >"$told/previous"
  use "$previous"
  start
  ;;
run)
  shell=no
  [ "$1" != --shell ] || { shell=yes; shift; }
  [ "$1" = nextcloud.occ ] || fail "cannot find app"
  shift
  if [ -e "$told/refresh-at" ]; then
    case " $* " in *" $(cat "$told/refresh-at") "*) rm "$told/refresh-at"; refresh "$(newest)" >/dev/null 2>&1 ;; esac
  fi
  if [ "$shell" = yes ]; then confined /bin/bash "$@"; else confined "$code/$(current)/bin/occ" "$@"; fi
  ;;
*) fail "unknown command \\"$command\\"" ;;
esac
`;
