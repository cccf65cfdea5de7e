# launchd runs it. It lies beside the configuration: folders of Homebrew belong to a user, who could put another program there.

find_keeper() {
  KEEPS=launchd
  KEEPER=/etc/wireguard/$TUNNEL.keep
  KEEPER_LABEL=com.latchkey.keep.$TUNNEL
  KEEPER_PLIST=/Library/LaunchDaemons/$KEEPER_LABEL.plist
}

# What it writes is nothing that anybody reads; what it starts has a log of its own.
keeper_list() {
  cat <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- by Latchkey -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>$(xml_text "$KEEPER_LABEL")</string>
  <key>ProgramArguments</key>
  <array>
    <string>/bin/sh</string>
    <string>$(xml_text "$KEEPER")</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>StartInterval</key>
  <integer>30</integer>
  <key>StandardErrorPath</key>
  <string>/dev/null</string>
</dict>
</plist>
PLIST
}

keeper_loaded() { launchctl print "system/$KEEPER_LABEL" >/dev/null 2>&1; }

is_scheduled() {
  [ -f "$KEEPER_PLIST" ] && [ "$(cat "$KEEPER_PLIST")" = "$(keeper_list)" ] && keeper_loaded
}

schedule() {
  say "writing $KEEPER_PLIST"
  keeper_list | put_file "$KEEPER_PLIST" 644 || return 1
  if keeper_loaded; then unload_keeper || return 1; fi
  cmd launchctl bootstrap system "$KEEPER_PLIST"
}

# launchd says that it is about to, and is done a moment later.
unload_keeper() {
  cmd launchctl bootout "system/$KEEPER_LABEL" || :
  last=$(($(date +%s) + 15))
  while keeper_loaded; do
    if [ "$(date +%s)" -ge "$last" ]; then return 1; fi
    sleep 0.2
  done
}

unschedule() {
  if keeper_loaded; then unload_keeper || return 1; fi
  if [ -f "$KEEPER_PLIST" ]; then cmd rm -f "$KEEPER_PLIST" || return 1; fi
}
