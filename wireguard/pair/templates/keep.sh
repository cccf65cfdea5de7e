# Run by root each minute or oftener: starts the tunnel when there is none, and looks up anew where its other end is when nothing was heard
# from there, since wg looks a name up once only.
PATIENCE=150

if [ ! -f "$CONF" ]; then exit 0; fi

live=$TUNNEL
if [ "$START" = launchd ]; then
  live=''
  if [ -f "/var/run/wireguard/$TUNNEL.name" ]; then IFS= read -r live <"/var/run/wireguard/$TUNNEL.name" || :; fi
fi

if [ -z "$live" ] || ! wg show "$live" >/dev/null 2>&1; then
  case $START in
    systemd)
      # one that waits for its name to be found is being started
      case $(systemctl is-active "$UNIT" 2>/dev/null) in activating | deactivating | reloading) exit 0 ;; esac
      # not "start": where somebody else took the interface away, the unit is active all the same
      exec systemctl restart "$UNIT"
      ;;
    openrc)
      rc-service "$UNIT" zap >/dev/null 2>&1
      exec rc-service "$UNIT" start
      ;;
    launchd) exec launchctl kickstart "system/$UNIT" ;;
    *) exec wg-quick up "$CONF" ;;
  esac
fi

# whoever has nft forget everything, as a restart of its service does, means other rules
if [ -f "$GUARD" ] && command -v nft >/dev/null && ! nft list table inet "$(sed -n 's/^delete table inet //p' "$GUARD")" >/dev/null 2>&1; then
  nft -f "$GUARD"
fi

endpoint=$(sed -n 's/^Endpoint = //p' "$CONF")
peer=$(sed -n 's/^PublicKey = //p' "$CONF")
# An end that is dialled says again what it knows: wireguard-go goes on to send from an address that this machine has no more, until then.
if [ -z "$endpoint" ]; then endpoint=$(wg show "$live" endpoints | awk -v peer="$peer" '$1 == peer && $2 != "(none)" { print $2 }'); fi
if [ -z "$endpoint" ] || [ -z "$peer" ]; then exit 0; fi
# Something to be answered. An end that was started anew knows nothing of the session that this one still sends in, and keeps silent: by
# itself WireGuard begins another after two minutes, and 15 seconds after it was not answered. wg-quick brings bash
other=$(sed -n 's/^AllowedIPs = //p' "$CONF")
bash -c "echo >/dev/udp/${other%/*}/9" 2>/dev/null || :
newest=$(wg show "$live" latest-handshakes | awk -v peer="$peer" '$1 == peer { print $2 }')
# it is being started
if [ -z "$newest" ]; then exit 0; fi
age=$(($(date +%s) - newest))
# below zero: the clock was set back
if [ "$age" -ge 0 ] && [ "$age" -le "$PATIENCE" ]; then exit 0; fi
WG_ENDPOINT_RESOLUTION_RETRIES=1 exec wg set "$live" peer "$peer" endpoint "$endpoint"
