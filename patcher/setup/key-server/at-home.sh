#!/bin/sh
# One end of a setup: the key server on the machine at home. Linux and macOS, as root.
# usage: at-home.sh PLATFORM ACCOUNT DATA KEYFILE look HOST PORT PROGRAM…
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE make LISTEN 'HOST …' PROGRAM…
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE serve TEXT
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE running|unserve
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE remove begun|data|keyfile|account|folder [FOLDER]
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE do COMMAND…
# What a program reads of it goes to stdout, a word and its value a line. What it is about to do goes to stderr.
UNIT=latchkey-keyserver.service
LABEL=latchkey.keyserver
# What tells an account that was made here from one that was there.
COMMENT='Latchkey key server'

die() {
  printf 'error: %s\n' "$1" >&2
  if [ $# -gt 1 ]; then printf 'hint: %s\n' "$2" >&2; fi
  exit 1
}

cmd() {
  printf '[#] %s\n' "$*" >&2
  "$@"
}

has() { command -v "$1" >/dev/null 2>&1; }

yes_or_no() {
  if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi
}

# as_user ACCOUNT COMMAND…: what root may not do for it, lest its own folders lead elsewhere.
as_user() {
  user=$1
  shift
  if [ "$(id -un)" = "$user" ]; then
    "$@"
  elif [ "$PLATFORM" = macos ]; then
    sudo -H -u "$user" "$@"
  elif has runuser; then
    runuser -u "$user" -- "$@"
  else
    # shellcheck disable=SC2016 # for the shell that it starts
    su -s /bin/sh -c 'exec "$0" "$@"' "$user" "$@"
  fi
}

as_account() { as_user "$ACCOUNT" "$@"; }

# Looks --

there() { [ -e "$1" ] || [ -L "$1" ]; }

is_server() { [ -f "$1/config.json" ] && [ -f "$1/vault.json" ]; }

is_empty() { [ -d "$1" ] && [ ! -L "$1" ] && [ -z "$(ls -A "$1")" ]; }

data_state() {
  if is_server "$DATA"; then
    echo server
  elif ! there "$DATA" || is_empty "$DATA"; then
    echo none
  else
    echo other
  fi
}

account_there() { id "$ACCOUNT" >/dev/null 2>&1; }

account_is_ours() {
  [ "$PLATFORM" = linux ] && grep "^$ACCOUNT:" /etc/passwd | cut -d: -f5 | grep -qxF "$COMMENT"
}

# Whoever starts programs at boot here.
manager() {
  if [ "$PLATFORM" = macos ]; then
    echo launchd
  elif [ -d /run/systemd/system ] && has systemctl; then
    echo systemd
  else
    echo none
  fi
}

service_file() {
  if [ "$PLATFORM" = macos ]; then
    echo "/Library/LaunchDaemons/$LABEL.plist"
  else
    echo "/etc/systemd/system/$UNIT"
  fi
}

is_loaded() { launchctl print "system/$LABEL" >/dev/null 2>&1; }

is_enabled() {
  case $(manager) in
    systemd) systemctl is-enabled --quiet "$UNIT" ;;
    launchd) is_loaded ;;
    none) return 1 ;;
  esac
}

# is_active: it runs, or is about to.
is_active() {
  case $(manager) in
    systemd) systemctl is-active --quiet "$UNIT" ;;
    launchd) is_loaded ;;
    none) return 1 ;;
  esac
}

# is_given_up: it was refused, and is not started again.
is_given_up() { [ "$(manager)" = systemd ] && systemctl is-failed --quiet "$UNIT"; }

# address_in_hex A.B.C.D: as /proc/net/tcp has it.
address_in_hex() {
  set -f
  # shellcheck disable=SC2046 # four numbers
  set -- $(printf '%s' "$1" | tr . ' ')
  set +f
  printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1"
}

# is_taken HOST PORT: something listens there, or on every address.
is_taken() {
  if [ "$PLATFORM" = macos ]; then
    netstat -an -p tcp | awk -v here="$1.$2" -v all="*.$2" '$6 == "LISTEN" && ($4 == here || $4 == all) { found = 1 } END { exit !found }'
    return
  fi
  port=$(printf '%04X' "$2")
  case $1 in
    *:*) address=- ;;
    *) address=$(address_in_hex "$1") ;;
  esac
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v here="$address:$port" -v port=":$port" '$4 == "0A" && ($2 == here || $2 ~ "^0+" port "$") { found = 1 } END { exit !found }'
}

# starts PROGRAM…: the account, or else one that may do as little, can run it. Where there is a key server it will be asked anyway.
starts() {
  if account_there && is_server "$DATA"; then
    return 0
  elif account_there; then
    as_account "$@" --version
  elif id nobody >/dev/null 2>&1; then
    as_user nobody "$@" --version
  fi
}

look() {
  host=$1
  port=$2
  shift 2
  echo "account $(yes_or_no account_there)"
  echo "accountOurs $(yes_or_no account_is_ours)"
  echo "data $(data_state)"
  echo "keyfile $(yes_or_no there "$KEYFILE")"
  echo "manager $(manager)"
  echo "enabled $(yes_or_no is_enabled)"
  echo "active $(yes_or_no is_active)"
  echo "taken $(yes_or_no is_taken "$host" "$port")"
  echo "starts $(yes_or_no starts "$@")"
  file=$(service_file)
  if [ -f "$file" ]; then
    echo 'service yes'
    cat "$file"
  else
    echo 'service no'
  fi
}

# Steps; each says what it has made --

# make_folder FOLDER: with those above it; everybody may pass through, as others of Latchkey may have something there.
make_folder() {
  if [ -d "$1" ]; then return 0; fi
  make_folder "$(dirname "$1")"
  cmd mkdir -m 711 "$1" || die "cannot make $1"
  echo "made folder $1"
}

make_account() {
  if account_there; then return 0; fi
  shell=/usr/sbin/nologin
  if [ ! -x "$shell" ]; then shell=/sbin/nologin; fi
  if [ "$PLATFORM" = macos ]; then
    die "there is no account $ACCOUNT" "the release's install.sh makes it"
  elif has useradd; then
    cmd useradd --system --user-group --home-dir "$(dirname "$DATA")" --no-create-home --shell "$shell" --comment "$COMMENT" "$ACCOUNT" || die "cannot make the account $ACCOUNT"
  elif has adduser; then
    cmd addgroup -S "$ACCOUNT" || die "cannot make the group $ACCOUNT"
    cmd adduser -S -D -H -h "$(dirname "$DATA")" -s "$shell" -g "$COMMENT" -G "$ACCOUNT" "$ACCOUNT" || die "cannot make the account $ACCOUNT"
  else
    die "there is neither useradd nor adduser here" "make an account $ACCOUNT yourself, then try again"
  fi
  echo 'made account'
}

# may_write FOLDER: the account itself, so that root has nothing to do there.
may_write() { as_account test -w "$1"; }

owner() { printf '%s:%s' "$ACCOUNT" "$(id -gn "$ACCOUNT")"; }

make_keyfile() {
  if there "$KEYFILE"; then return 0; fi
  folder=$(dirname "$KEYFILE")
  make_folder "$folder"
  echo 'made keyfile'
  if may_write "$folder"; then return 0; fi # the key server makes it itself
  as_account test -x "$folder" || die "$ACCOUNT may not look into $folder" "name another file: \"keyServer.keyfile\""
  rm -f "$KEYFILE.being-made"
  {
    (umask 077 && dd if=/dev/urandom of="$KEYFILE.being-made" bs=32 count=1 2>/dev/null) &&
      chown "$(owner)" "$KEYFILE.being-made" && sync && mv "$KEYFILE.being-made" "$KEYFILE"
  } || die "cannot make $KEYFILE"
}

# make_data LISTEN HOSTS PROGRAM…: under another name until it is whole.
make_data() {
  if is_server "$DATA"; then return 0; fi
  listen=$1
  hosts=$2
  shift 2
  folder=$(dirname "$DATA")
  make_folder "$folder"
  new=$DATA.being-made
  rm -rf "$new"
  if is_empty "$DATA"; then rmdir "$DATA" || die "cannot take the empty $DATA away"; fi
  if there "$DATA"; then die "$DATA is there already, and no key server's"; fi
  mover=as_account
  if ! may_write "$folder"; then
    mover=''
    as_account test -x "$folder" || die "$ACCOUNT may not look into $folder" "name another directory: \"keyServer.data\""
    { mkdir -m 700 "$new" && chown "$(owner)" "$new"; } || die "cannot make $new"
  fi
  set -f
  # shellcheck disable=SC2086 # names and addresses have no blanks
  cmd as_account "$@" init --data "$new" --listen "$listen" --host $hosts --keyfile "$KEYFILE" >/dev/null || {
    code=$?
    rm -rf "$new"
    exit "$code"
  }
  set +f
  sync
  cmd $mover mv "$new" "$DATA" || die "cannot move $new to $DATA"
  echo 'made data'
  sync
}

make() {
  make_account
  make_keyfile
  make_data "$@"
}

# serve TEXT: the service is as TEXT says, now and at boot.
serve() {
  file=$(service_file)
  changed=''
  if [ ! -f "$file" ] || [ "$(cat "$file")" != "$1" ]; then
    changed=yes
    if [ ! -f "$file" ]; then echo 'made service'; fi
    printf '[#] write %s\n' "$file" >&2
    {
      printf '%s\n' "$1" >"$file.new" && chmod 644 "$file.new" && chown 0:0 "$file.new" && mv -f "$file.new" "$file"
    } || die "cannot write $file"
  fi
  case $(manager) in
    systemd)
      cmd systemctl daemon-reload || die "systemd does not look at $file"
      systemctl is-enabled --quiet "$UNIT" || cmd systemctl enable "$UNIT" || die "systemd does not start $UNIT at boot"
      if [ -z "$changed" ] && systemctl is-active --quiet "$UNIT"; then return 0; fi
      systemctl reset-failed "$UNIT" 2>/dev/null
      cmd systemctl restart "$UNIT" || die "systemd does not start $UNIT" "see: journalctl -u $UNIT"
      ;;
    launchd)
      if is_loaded; then
        if [ -z "$changed" ]; then return 0; fi
        unload || die "launchd does not let go of $LABEL"
      fi
      launchctl enable "system/$LABEL"
      cmd launchctl bootstrap system "$file" || die "launchd does not take $file"
      ;;
    none) die "nothing starts programs at boot here" ;;
  esac
}

# launchd says that it is about to, and is done a moment later.
unload() {
  cmd launchctl bootout "system/$LABEL"
  tries=0
  while is_loaded; do
    tries=$((tries + 1))
    if [ "$tries" -gt 30 ]; then return 1; fi
    sleep 1
  done
}

running() {
  echo "active $(yes_or_no is_active)"
  echo "givenUp $(yes_or_no is_given_up)"
}

unserve() {
  file=$(service_file)
  case $(manager) in
    systemd)
      if systemctl is-enabled --quiet "$UNIT"; then cmd systemctl disable "$UNIT" || die "systemd does not disable $UNIT"; fi
      if systemctl is-active --quiet "$UNIT"; then cmd systemctl stop "$UNIT" || die "systemd does not stop $UNIT"; fi
      ;;
    launchd) if is_loaded; then unload || die "launchd does not let go of $LABEL"; fi ;;
  esac
  rm -f "$file.new"
  if [ -f "$file" ]; then cmd rm "$file" || die "cannot remove $file"; fi
  if [ "$(manager)" = systemd ]; then
    systemctl daemon-reload
    systemctl reset-failed "$UNIT" 2>/dev/null
  fi
  return 0
}

remove() {
  case $1 in
    data)
      case $(data_state) in
        other) die "$DATA is no key server's" ;;
        *) { rm -rf "$DATA.being-made" && cmd rm -rf "$DATA"; } || die "cannot remove $DATA" ;;
      esac
      ;;
    begun) rm -rf "$DATA.being-made" "$KEYFILE.being-made" || die "cannot remove $DATA.being-made" ;;
    keyfile) { rm -f "$KEYFILE.being-made" && cmd rm -f "$KEYFILE"; } || die "cannot remove $KEYFILE" ;;
    folder) if is_empty "$2"; then cmd rmdir "$2" || die "cannot remove $2"; fi ;;
    account) remove_account ;;
  esac
}

# An account that was there before, or that another service runs as, stays.
remove_account() {
  if ! account_there || ! account_is_ours; then return 0; fi
  if grep -qsx "User=$ACCOUNT" /etc/systemd/system/*.service; then return 0; fi
  if has userdel; then cmd userdel "$ACCOUNT"; else cmd deluser "$ACCOUNT"; fi || die "cannot remove the account $ACCOUNT"
  if grep -q "^$ACCOUNT:" /etc/group; then
    if has groupdel; then cmd groupdel "$ACCOUNT"; else cmd delgroup "$ACCOUNT"; fi || die "cannot remove the group $ACCOUNT"
  fi
}

main() {
  PLATFORM=$1
  ACCOUNT=$2
  DATA=$3
  KEYFILE=$4
  order=$5
  shift 5
  LC_ALL=C
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  export LC_ALL PATH
  cd / || exit 1 # where every account may be
  case $order in
    look | make | serve | running | unserve | remove) "$order" "$@" ;;
    do) as_account "$@" ;;
    *) die "there is no order $order" ;;
  esac
}

# the last line, so that half of it does nothing
main "$@" </dev/null
