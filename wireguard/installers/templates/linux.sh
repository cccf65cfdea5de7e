#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# Makes a Linux machine a spoke of a WireGuard hub. Made by Latchkey for one machine; what is in it is good for one registration.

# @@values@@

# @@part say@@

# @@part undo@@

# @@part options@@

# @@part hub@@

# @@part tunnel@@

# @@part packages@@

# @@part kernel@@

# @@part boot@@

# @@part flow@@

own_usage() { :; }
own_option() { return 1; }

main() {
  read_options "$@"
  if [ "$(uname -s)" != Linux ]; then die "this script is for Linux, and this is $(uname -s)"; fi
  if [ "$(id -u)" != 0 ]; then die "only root can make interfaces" "run it by sudo sh"; fi
  begin
  CONF=/etc/wireguard/$TUNNEL.conf
  LIVE=$TUNNEL
  find_init
  if [ "$MODE" = uninstall ]; then
    leave_hub
    exit 0
  fi
  check_place
  system=$(os_release PRETTY_NAME)
  join_hub "${system:-Linux} ($(uname -sr))"
}

# the last line, so that half a download does nothing
main "$@" </dev/null
