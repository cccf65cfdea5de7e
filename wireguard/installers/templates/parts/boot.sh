# systemd, OpenRC, or nothing that starts anything.
INIT=none

find_init() {
  if [ -d /run/systemd/system ] && has systemctl; then
    INIT=systemd
    UNIT=wg-quick@$TUNNEL.service
    BY_HAND="wg show $TUNNEL; systemctl status $UNIT"
    TAKE_AWAY="systemctl disable --now $UNIT && rm $CONF"
  elif [ -d /run/openrc ] && has rc-update && has rc-service; then
    INIT=openrc
    UNIT=wg-quick.$TUNNEL
    BY_HAND="wg show $TUNNEL; rc-service $UNIT status"
    TAKE_AWAY="rc-service $UNIT stop; rc-update del $UNIT default; rm /etc/init.d/$UNIT $CONF"
  else
    UNIT=''
    BY_HAND="wg show $TUNNEL"
    TAKE_AWAY="wg-quick down $TUNNEL && rm $CONF"
  fi
}

interface_there() { [ -e "/sys/class/net/$TUNNEL" ]; }

is_up() { interface_there && wg show "$TUNNEL" >/dev/null 2>&1; }

starts_at_boot() {
  case $INIT in
    systemd) systemctl is-enabled "$UNIT" >/dev/null 2>&1 ;;
    openrc) rc-update show default 2>/dev/null | grep -q "^ *$UNIT *|" ;;
    none) return 0 ;;
  esac
}

start_at_boot() {
  case $INIT in
    systemd)
      arm not_at_boot
      write_patience || die "cannot write $(patience_file)"
      cmd systemctl enable "$UNIT" || die "systemd does not start $UNIT at boot"
      ;;
    openrc)
      arm not_at_boot
      if [ ! -e "/etc/init.d/$UNIT" ]; then make_openrc_service; fi
      cmd rc-update add "$UNIT" default || die "OpenRC does not start $UNIT at boot"
      ;;
    none)
      warn "neither systemd nor OpenRC runs here, so nothing starts $TUNNEL at boot"
      hint "have this run as root when the machine starts: wg-quick up $TUNNEL"
      ;;
  esac
}

PATIENCE_STAYS=''
patience_file() { printf '/etc/systemd/system/%s.d/latchkey.conf' "$UNIT"; }

# The unit of wg-quick waits for the name of a hub without an end, and the machine's boot with it; and where it is told that there is no such
# name it gives up for good. An older systemd does not take a unit of its kind that is started again. To enable a unit makes systemd read this.
write_patience() {
  version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  if [ "${version:-0}" -lt 244 ]; then return 0; fi
  file=$(patience_file)
  if [ -e "$file" ]; then
    PATIENCE_STAYS=yes
    return 0
  fi
  if [ -d "${file%/*}" ]; then
    TAKE_AWAY="$TAKE_AWAY $file"
  else
    mkdir -m 755 "${file%/*}" || return 1
    TAKE_AWAY="$TAKE_AWAY && rm -r ${file%/*}"
  fi
  cat >"$file" <<PATIENCE || return 1
# by Latchkey: a name that is not found keeps nothing else from starting, and is looked for again
[Service]
Environment=WG_ENDPOINT_RESOLUTION_RETRIES=5
TimeoutStartSec=90
Restart=on-failure
RestartSec=30
PATIENCE
  chmod 644 "$file"
}

take_patience() {
  file=$(patience_file)
  if [ -n "$PATIENCE_STAYS" ] || ! grep -q '^# by Latchkey:' "$file" 2>/dev/null; then return 0; fi
  rm -f "$file" || return 1
  rmdir "${file%/*}" 2>/dev/null || :
}

# Alpine's package has a service for a link to be made to; where there is none, one is written.
make_openrc_service() {
  if [ -e /etc/init.d/wg-quick ]; then
    cmd ln -s wg-quick "/etc/init.d/$UNIT" || die "cannot make /etc/init.d/$UNIT"
    return 0
  fi
  say "writing /etc/init.d/$UNIT"
  cat >"/etc/init.d/$UNIT" <<SERVICE || die "cannot write /etc/init.d/$UNIT"
#!/sbin/openrc-run
# by Latchkey
description="WireGuard tunnel $TUNNEL"
depend() {
  need net
  use dns
}
start() {
  ebegin "Starting $TUNNEL"
  wg-quick up $TUNNEL
  eend \$?
}
stop() {
  ebegin "Stopping $TUNNEL"
  wg-quick down $TUNNEL
  eend \$?
}
SERVICE
  cmd chmod 755 "/etc/init.d/$UNIT"
}

not_at_boot() {
  case $INIT in
    systemd)
      take_patience || return 1
      if starts_at_boot; then cmd systemctl disable "$UNIT"; fi
      ;;
    openrc)
      if starts_at_boot; then cmd rc-update del "$UNIT" default || return 1; fi
      if [ "$(readlink "/etc/init.d/$UNIT")" = wg-quick ] || grep -q '^# by Latchkey$' "/etc/init.d/$UNIT" 2>/dev/null; then
        cmd rm -f "/etc/init.d/$UNIT"
      fi
      ;;
  esac
}

# Of a tunnel that is down. A service counts as started also when somebody has taken its interface away, and is not started again then.
start_tunnel() {
  arm undo_start
  case $INIT in
    systemd)
      with_usual_umask systemctl restart "$UNIT" || {
        if has journalctl; then journalctl -q --no-pager -n 20 -u "$UNIT" >&2; fi
        die "systemd could not start $UNIT"
      }
      ;;
    openrc)
      if ! interface_there; then rc-service "$UNIT" zap >/dev/null 2>&1 || :; fi
      with_usual_umask rc-service "$UNIT" start || die "OpenRC could not start $UNIT"
      ;;
    none) with_usual_umask wg-quick up "$CONF" || die "wg-quick could not bring up $TUNNEL" ;;
  esac
}

stop_tunnel() {
  case $INIT in
    systemd) cmd systemctl stop "$UNIT" ;;
    openrc) cmd rc-service "$UNIT" stop ;;
    none) if is_up; then cmd wg-quick down "$CONF"; fi ;;
  esac
}

undo_start() {
  stop_tunnel
  # a unit that failed is not stopped by that, nor forgotten
  if [ "$INIT" = systemd ]; then systemctl reset-failed "$UNIT" 2>/dev/null || :; fi
  if interface_there && interface_is_ours; then cmd ip link delete dev "$TUNNEL"; fi
  ! is_up || ! interface_is_ours
}

# wg-quick hands name servers to resolvconf, and fails with it. One that is there without being in charge (Alpine's wg-quick brings one)
# would write a file over that of the machine which knows no other name servers, so nothing of it is tried out.
dns_works() {
  has resolvconf || return 1
  case $(readlink -f "$(command -v resolvconf)") in
    */resolvectl) [ -d /run/systemd/resolve ] ;;
    *) grep -q -i '^#.*generated by resolvconf' /etc/resolv.conf 2>/dev/null ;;
  esac
}
