#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# One end of a pair of Linux machines that WireGuard connects. Made by Latchkey for one machine; nothing in it is secret.

# @@values@@
TRY_AGAIN='and try again'

# @@part say@@

# @@part undo@@

# @@part packages@@

# @@part kernel@@

# @@part boot@@

# @@own answers@@

# @@own conf@@

# @@own opening@@

# @@own keeper@@

# @@own keeper-linux@@

# @@own flow@@

remove_installed() { find_manager && undo_packages; }

# nothing is fetched
choose_fetcher() { return 0; }

tools_are_there() { has wg && has wg-quick && has ip; }

check_platform() { :; }

# wg-quick brings up what a unit does not know of, too
end_tunnel() {
  stop_tunnel || return 1
  if interface_there && interface_is_ours; then cmd ip link delete dev "$TUNNEL"; fi
}

find_platform() {
  if [ "$(uname -s)" != Linux ]; then die "this script is for Linux, and this is $(uname -s)"; fi
  CONF=/etc/wireguard/$TUNNEL.conf
  LIVE=$TUNNEL
  PING_WAIT=1
  find_init
  find_keeper
}

# the last line, so that half a script does nothing
main "$@" </dev/null
