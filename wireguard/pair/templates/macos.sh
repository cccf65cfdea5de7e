#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# One end of a pair of machines that WireGuard connects, on a Mac. Made by Latchkey for one machine; nothing in it is secret.

# @@values@@
TRY_AGAIN='and try again'

# @@part say@@

# @@part undo@@

# @@part launchd-jobs@@

# @@part launchd@@

# @@part homebrew@@

# @@own answers@@

# @@own conf@@

# @@own opening-macos@@

# @@own guard-macos@@

# @@own keeper@@

# @@own keeper-macos@@

# @@own flow@@

remove_installed() { find_brew_user && undo_formulae; }

# nothing is fetched
choose_fetcher() { return 0; }

tools_are_there() { [ -n "$PREFIX" ] && tools_there; }

# What wg-quick would find elsewhere, and what launchd has of another.
check_platform() {
  for path in "/usr/local/etc/wireguard/$TUNNEL.conf" "/opt/homebrew/etc/wireguard/$TUNNEL.conf"; do
    if [ -e "$path" ] || [ -L "$path" ]; then refuse conf_foreign "$path is there already" "$OTHER_NAME"; fi
  done
  if { [ -e "$PLIST" ] || [ -L "$PLIST" ] || job_loaded "$LABEL"; } && ! of_pair "$CONF"; then
    refuse conf_foreign "launchd has $LABEL already, but $CONF is not of this pair" "$OTHER_NAME"
  fi
}

end_tunnel() { stop_tunnel; }

is_found() { ! has dscacheutil || dscacheutil -q host -a name "$1" | grep -q '_address: '; }

find_platform() {
  if [ "$(uname -s)" != Darwin ]; then die "this script is for macOS, and this is $(uname -s)"; fi
  # wg-quick looks here whatever Homebrew's prefix is; the folders of Homebrew belong to a user, who could put another file there
  CONF=/etc/wireguard/$TUNNEL.conf
  PING_WAIT=1000
  INIT=launchd
  find_prefix
  LABEL=com.latchkey.pair.$TUNNEL
  PLIST=/Library/LaunchDaemons/$LABEL.plist
  LOG=/var/log/$LABEL.log
  UNIT=$LABEL
  find_keeper
  live_name || :
}

# the last line, so that half a script does nothing
main "$@" </dev/null
