# launchd starts wg-quick, now as at boot. The interface itself is called utun and a number.
RUN=/var/run/wireguard
LIVE=''
START_PATIENCE=30

find_job() {
  LABEL=com.latchkey.spoke.$TUNNEL
  PLIST=/Library/LaunchDaemons/$LABEL.plist
  LOG=/var/log/$LABEL.log
  BY_HAND="sudo wg show; sudo launchctl print system/$LABEL"
  TAKE_AWAY="sudo $PREFIX/bin/wg-quick down $CONF; sudo launchctl bootout system/$LABEL; sudo rm -f $PLIST $LOG $CONF"
}

# What nobody but this script makes, without a configuration: of a spoke that somebody has removed by half.
check_job() {
  for path in "/usr/local/etc/wireguard/$TUNNEL.conf" "/opt/homebrew/etc/wireguard/$TUNNEL.conf"; do
    if [ -e "$path" ] || [ -L "$path" ]; then die "$path is there already" "--tunnel NAME takes another name"; fi
  done
  if [ -e "$PLIST" ] || [ -L "$PLIST" ] || job_loaded "$LABEL"; then
    die "launchd has $LABEL already, but $CONF is not of this spoke" \
      "--tunnel NAME takes another name; or: sudo launchctl bootout system/$LABEL; sudo rm -f $PLIST"
  fi
}

# live_name: LIVE is what the interface is called, when there is one.
live_name() {
  LIVE=''
  if [ ! -f "$RUN/$TUNNEL.name" ]; then return 1; fi
  IFS= read -r LIVE <"$RUN/$TUNNEL.name" || :
  case $LIVE in
    '' | *[!A-Za-z0-9]*) LIVE='' ;;
  esac
  [ -n "$LIVE" ] && [ -S "$RUN/$LIVE.sock" ] && { ! has wg || wg show "$LIVE" >/dev/null 2>&1; }
}

interface_there() { live_name; }

is_up() { live_name && [ -n "$(wg show "$LIVE" peers 2>/dev/null)" ]; }

# A tunnel whose hub cannot be looked up yet, as at boot, is tried again; one that was taken down by hand stays down. Since macOS 12 many a
# wg-quick does not see that it was started by launchd and ends; what carries the tunnel would be ended with it, but for AbandonProcessGroup.
tunnel_list() {
  job_list "$LABEL" "$PREFIX/bin/wg-quick" up "$CONF" <<PLIST
  <key>EnvironmentVariables</key>
  <dict>
    <key>PATH</key>
    <string>$(xml_text "$PREFIX/bin:$PREFIX/sbin:/usr/bin:/bin:/usr/sbin:/sbin")</string>
  </dict>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>StandardErrorPath</key>
  <string>$(xml_text "$LOG")</string>
PLIST
}

starts_at_boot() { [ -f "$PLIST" ] && [ "$(cat "$PLIST")" = "$(tunnel_list)" ]; }

# launchd takes no file that anybody but root may write.
start_at_boot() {
  arm not_at_boot
  say "writing $PLIST"
  write_tunnel_list || die "cannot write $PLIST"
}

write_tunnel_list() {
  tunnel_list >"$PLIST.new" && chmod 644 "$PLIST.new" && chown 0:0 "$PLIST.new" && mv -f "$PLIST.new" "$PLIST"
}

not_at_boot() { cmd rm -f "$PLIST.new" "$PLIST" "$LOG"; }

start_tunnel() {
  arm undo_start
  if job_loaded "$LABEL"; then unload_job "$LABEL"; fi
  rm -f "$LOG"
  cmd launchctl bootstrap system "$PLIST" ||
    die "launchd does not take $PLIST" "when it was disabled: sudo launchctl enable system/$LABEL"
  last=$(($(date +%s) + START_PATIENCE))
  until is_up; do
    if [ "$(date +%s)" -ge "$last" ]; then
      tail -n 20 "$LOG" >&2 2>/dev/null
      die "launchd could not bring up $TUNNEL within $START_PATIENCE seconds"
    fi
    sleep 0.2
  done
  # its last words, when addresses and routes are there too; they may come to be other ones
  tries=0
  until grep -q 'route monitor' "$LOG" 2>/dev/null || [ "$tries" -ge 15 ]; do
    tries=$((tries + 1))
    sleep 0.2
  done
}

stop_tunnel() {
  if live_name; then
    if has wg-quick; then
      cmd wg-quick down "$CONF" || return 1
    else
      # as wg-quick does it: wireguard-go sees that its socket is gone, and ends
      cmd rm -f "$RUN/$LIVE.sock" "$RUN/$TUNNEL.name"
    fi
  fi
  if job_loaded "$LABEL"; then unload_job "$LABEL"; fi
}

undo_start() {
  if live_name && interface_is_ours; then cmd wg-quick down "$CONF"; fi
  if job_loaded "$LABEL"; then unload_job "$LABEL" || return 1; fi
  if live_name; then ! interface_is_ours; else rm -f "$RUN/$TUNNEL.name"; fi
}
