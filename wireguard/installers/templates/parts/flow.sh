# The order of things. The platform has: install_wireguard, start_at_boot and start_tunnel, each arming its undo; starts_at_boot and
# is_up, which answer; interface_there; stop_tunnel and not_at_boot; and CONF, LIVE, BY_HAND (how its owner looks at the tunnel) and
# TAKE_AWAY (how it is taken away without this script).

# start_on SYSTEM NAME ADVICE: nothing is looked at before this is a machine that the script is for, and whoever runs it is root.
start_on() {
  if [ "$(uname -s)" != "$1" ]; then die "this script is for $2, and this is $(uname -s)"; fi
  if [ "$(id -u)" != 0 ]; then die "only root can make interfaces" "$3"; fi
  begin
  # of a Mac, too: its wg-quick looks here whatever Homebrew's prefix is, whose folders belong to a user, who could put another file there
  CONF=/etc/wireguard/$TUNNEL.conf
}

# leave_if_asked: ends the run where the tunnel is to be taken away.
leave_if_asked() {
  if [ "$MODE" = install ]; then return 0; fi
  leave_hub
  exit 0
}

# check_place: refuses before anything is done. Ends the run when everything is in place.
check_place() {
  if conf_is_ours; then
    mend
    exit 0
  fi
  if [ -e "$CONF" ] || [ -L "$CONF" ]; then
    die "$CONF is there already, and not of this spoke" "--tunnel NAME takes another name"
  fi
  if interface_there; then
    die "there is an interface $TUNNEL already" "--tunnel NAME takes another name"
  fi
}

# Of a spoke that is installed: what is missing is started, and nothing else is changed.
mend() {
  if is_up && starts_at_boot; then
    say "everything is in place: $TUNNEL is up, and nothing was changed"
    return 0
  fi
  PUBLIC_KEY=$(sed -n 's/^PrivateKey = //p' "$CONF" | wg pubkey 2>/dev/null) || PUBLIC_KEY=''
  if ! starts_at_boot; then start_at_boot; fi
  if ! is_up; then start_tunnel; fi
  keep
  say "$TUNNEL was installed before; it is up again"
}

# join_hub OS [MORE]: as register has it. Nothing is undone any more when it returns.
join_hub() {
  install_wireguard
  make_keys
  register "$@"
  write_config
  start_at_boot
  start_tunnel
  wait_for_handshake
  keep
  say "this machine is the spoke \"$SPOKE_NAME\" of \"$HUB_NAME\": $(sed -n 's/^Address = //p' "$WORK/config") on $TUNNEL"
  if [ -n "$BY_HAND" ]; then say "to look at it: $BY_HAND"; fi
  # a script that came through a pipe is gone
  if [ -f "$0" ]; then TAKE_AWAY="sh $0$SAID_TUNNEL --uninstall"; fi
  if [ -n "${TAKE_AWAY:-}" ]; then say "to take it away: $TAKE_AWAY"; fi
}

leave_hub() {
  if [ ! -e "$CONF" ]; then
    say "there is no $CONF, so nothing was changed"
    return 0
  fi
  if ! conf_is_ours; then die "$CONF is not of this spoke" "--tunnel NAME takes another name"; fi
  packages=$(sed -n 's/^# installed for it: //p' "$CONF")
  stop_tunnel || die "cannot stop $TUNNEL" "nothing was taken away"
  not_at_boot || die "cannot keep $TUNNEL from starting at boot" "$CONF is still there: try again"
  cmd rm -f "$CONF" || die "cannot remove $CONF"
  say "$TUNNEL is gone; delete the spoke \"$SPOKE_NAME\" at the hub too"
  if [ -n "$packages" ]; then say "packages that were installed for it stay: $packages"; fi
}
