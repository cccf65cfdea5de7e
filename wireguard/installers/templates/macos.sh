#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# Makes a Mac a spoke of a WireGuard hub. Made by Latchkey for one machine; what is in it is good for one registration.

# @@values@@

# @@part say@@

# @@part undo@@

# @@part options@@

# @@part hub@@

# @@part tunnel@@

# @@part launchd-jobs@@

# @@part launchd@@

# @@part homebrew@@

# @@part flow@@

own_usage() { :; }
own_option() { return 1; }

# wg-quick sets name servers by networksetup, which every Mac has
dns_works() { return 0; }

# Of a Mac: what it waits is said in milliseconds, and IPv6 has a program of its own.
ping() {
  for address in "$@"; do :; done
  if [ "$1" = -6 ]; then
    ping6 -c 1 "$address"
  else
    command ping -c 1 -W 1000 "$address"
  fi
}

main() {
  read_options "$@"
  start_on Darwin macOS "run it by sudo sh, as the user whom Homebrew belongs to"
  find_prefix
  find_job
  live_name || :
  leave_if_asked
  if ! conf_is_ours; then
    check_job
  elif [ -z "$PREFIX" ] || ! tools_there; then
    die "$CONF is there, but WireGuard is not" "brew install wireguard-tools, and run this again; or run it with --uninstall"
  fi
  check_place
  join_hub "macOS $(sw_vers -productVersion) ($(uname -srm))"
}

# the last line, so that half a download does nothing
main "$@" </dev/null
