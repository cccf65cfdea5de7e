# The tunnel that a machine is given by a file. TUNNEL is its name, none when there is nothing to give; TUNNEL_KEY the public key of it,
# and TRY whether it was not up before.

interface_is_ours() {
  [ -n "$TUNNEL" ] || return 1
  # a run that was stopped early has given it no key yet
  case $(wg show "$TUNNEL" public-key 2>/dev/null) in "$TUNNEL_KEY" | '(none)') ;; *) return 1 ;; esac
}

# drop_tunnel: what was brought up on trial, out of the file in STATE.
drop_tunnel() {
  if ! interface_there; then return 0; fi
  if ! interface_is_ours; then return 1; fi
  cmd wg-quick down "$STATE/tunnel/$TUNNEL.conf" || cmd ip link delete dev "$TUNNEL"
}
