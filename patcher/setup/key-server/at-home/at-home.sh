#!/bin/sh
# One end of a setup: the key server on the machine at home. Linux and macOS, as root.
# usage: at-home.sh PLATFORM ACCOUNT DATA KEYFILE look HOST PORT PROGRAM…
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE make LISTEN 'HOST …' PROGRAM…
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE serve TEXT
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE running|unserve
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE remove begun|data|keyfile|account|folder [FOLDER]
#        at-home.sh PLATFORM ACCOUNT DATA KEYFILE do COMMAND…
# What a program reads of it goes to stdout, a word and its value a line. What it is about to do goes to stderr.

# @@part say@@

# @@part launchd-jobs@@

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

# @@own account@@

# @@own data@@

# @@own service@@

# @@own look@@

make() {
  make_account
  make_keyfile
  make_data "$@"
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
