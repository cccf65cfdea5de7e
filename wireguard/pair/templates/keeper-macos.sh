# launchd runs it. It lies beside the configuration: folders of Homebrew belong to a user, who could put another program there.

find_keeper() {
  KEEPS=launchd
  KEEPER=/etc/wireguard/$TUNNEL.keep
  KEEPER_LABEL=com.latchkey.keep.$TUNNEL
  KEEPER_PLIST=/Library/LaunchDaemons/$KEEPER_LABEL.plist
}

# What it writes is nothing that anybody reads; what it starts has a log of its own.
keeper_list() {
  job_list "$KEEPER_LABEL" /bin/sh "$KEEPER" <<'PLIST'
  <key>RunAtLoad</key>
  <true/>
  <key>StartInterval</key>
  <integer>30</integer>
  <key>StandardErrorPath</key>
  <string>/dev/null</string>
PLIST
}

is_scheduled() {
  [ -f "$KEEPER_PLIST" ] && [ "$(cat "$KEEPER_PLIST")" = "$(keeper_list)" ] && job_loaded "$KEEPER_LABEL"
}

schedule() {
  say "writing $KEEPER_PLIST"
  keeper_list | put_file "$KEEPER_PLIST" 644 || return 1
  if job_loaded "$KEEPER_LABEL"; then unload_job "$KEEPER_LABEL" || return 1; fi
  cmd launchctl bootstrap system "$KEEPER_PLIST"
}

unschedule() {
  if job_loaded "$KEEPER_LABEL"; then unload_job "$KEEPER_LABEL" || return 1; fi
  if [ -f "$KEEPER_PLIST" ]; then cmd rm -f "$KEEPER_PLIST" || return 1; fi
}
