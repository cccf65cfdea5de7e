# A timer of systemd; else cron, by a file of its own where it takes such, or by a line in the table of root.

find_keeper() {
  KEEPER=/usr/local/lib/latchkey/keep-$TUNNEL
  JOB=latchkey-keep-$TUNNEL
  SERVICE=/etc/systemd/system/$JOB.service
  TIMER=/etc/systemd/system/$JOB.timer
  # cron takes no file with a dot in its name
  CRON_FILE=/etc/cron.d/$(printf %s "$JOB" | tr . _)
  if [ "$INIT" = systemd ]; then
    KEEPS=systemd
  elif ! has cron && ! has crond; then
    KEEPS=none
  elif [ -d /etc/cron.d ]; then
    KEEPS=cron.d
  elif has crontab; then
    KEEPS='crontab'
  else
    KEEPS=none
  fi
}

service_text() {
  header
  cat <<SERVICE

[Unit]
Description=Looks after the WireGuard tunnel $TUNNEL
ConditionPathExists=$CONF
After=network.target

[Service]
Type=oneshot
ExecStart=/bin/sh $KEEPER
TimeoutStartSec=50
# it asks systemd to start the tunnel, and the interface for its handshakes
CapabilityBoundingSet=CAP_NET_ADMIN
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
ProtectHome=yes
PrivateDevices=yes
# @@confined@@
SERVICE
}

timer_text() {
  header
  cat <<TIMER

[Unit]
Description=Looks after the WireGuard tunnel $TUNNEL each half minute

[Timer]
OnBootSec=20s
OnUnitActiveSec=30s
AccuracySec=5s

[Install]
WantedBy=timers.target
TIMER
}

cron_line() { printf '* * * * * %s/bin/sh %s >/dev/null 2>&1 # %s\n' "$1" "$KEEPER" "$JOB"; }

cron_text() {
  header
  printf '\n'
  cron_line 'root '
}

same_text() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

is_scheduled() {
  case $KEEPS in
    systemd)
      same_text "$SERVICE" "$(service_text)" && same_text "$TIMER" "$(timer_text)" &&
        systemctl is-enabled "$JOB.timer" >/dev/null 2>&1 && systemctl is-active "$JOB.timer" >/dev/null 2>&1
      ;;
    cron.d) same_text "$CRON_FILE" "$(cron_text)" ;;
    crontab) crontab -l 2>/dev/null | grep -qxF -e "$(cron_line '')" ;;
    none) return 0 ;;
  esac
}

schedule() {
  case $KEEPS in
    systemd)
      say "writing $SERVICE and $TIMER"
      service_text | put_file "$SERVICE" 644 && timer_text | put_file "$TIMER" 644 || return 1
      cmd systemctl daemon-reload && cmd systemctl enable "$JOB.timer" && cmd systemctl start "$JOB.timer"
      ;;
    cron.d)
      say "writing $CRON_FILE"
      cron_text | put_file "$CRON_FILE" 644
      ;;
    crontab)
      crontab -l 2>/dev/null | grep -v " # $JOB\$" >"$WORK/table"
      cron_line '' >>"$WORK/table"
      cmd crontab "$WORK/table"
      ;;
  esac
}

# Whatever it was that ran it, as that may have changed.
unschedule() {
  if of_pair "$TIMER" || of_pair "$SERVICE"; then
    if systemctl is-enabled "$JOB.timer" >/dev/null 2>&1; then cmd systemctl disable "$JOB.timer" || return 1; fi
    cmd systemctl stop "$JOB.timer"
    cmd systemctl stop "$JOB.service"
    cmd rm -f "$TIMER" "$SERVICE" || return 1
    cmd systemctl daemon-reload
    # a run that failed is not forgotten by itself
    systemctl reset-failed "$JOB.service" 2>/dev/null || :
  fi
  if of_pair "$CRON_FILE"; then cmd rm -f "$CRON_FILE" || return 1; fi
  if has crontab && crontab -l 2>/dev/null | grep -q " # $JOB\$"; then
    crontab -l | grep -v " # $JOB\$" >"$WORK/table"
    if [ -s "$WORK/table" ]; then cmd crontab "$WORK/table" || return 1; else cmd crontab -r || return 1; fi
  fi
}
