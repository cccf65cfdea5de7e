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

# @@own guard@@

# @@own keeper@@

# @@own keeper-linux@@

# @@own flow@@

remove_installed() { find_manager && undo_packages; }

# nothing is fetched
choose_fetcher() { return 0; }

tools_are_there() { has wg && has wg-quick && has ip; }

check_platform() { :; }

# A unit may still wait for a name to be found, without an end; and wg-quick brings up what no unit knows of, too.
end_tunnel() {
  if [ "$INIT" = systemd ] || is_up; then stop_tunnel || return 1; fi
  # one that failed is not forgotten by that
  if [ "$INIT" = systemd ]; then systemctl reset-failed "$UNIT" 2>/dev/null || :; fi
  if interface_there && ! interface_is_foreign; then cmd ip link delete dev "$TUNNEL"; fi
}

# where there is nothing to ask by, wg will see
is_found() { ! has getent || getent hosts "$1" >/dev/null 2>&1 || getent ahosts "$1" >/dev/null 2>&1; }

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
