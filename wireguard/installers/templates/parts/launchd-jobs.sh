# Jobs of launchd, each known by its label.

job_loaded() { launchctl print "system/$1" >/dev/null 2>&1; }

# unload_job LABEL [SECONDS]: launchd says that it is about to, and is done a moment later.
unload_job() {
  cmd launchctl bootout "system/$1" || :
  last=$(($(date +%s) + ${2:-15}))
  while job_loaded "$1"; do
    if [ "$(date +%s)" -ge "$last" ]; then return 1; fi
    sleep 0.2
  done
}

xml_text() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

# job_list LABEL WORD...: the property list of a job that runs these words. How, comes as XML on stdin.
job_list() {
  cat <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- by Latchkey -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>$(xml_text "$1")</string>
  <key>ProgramArguments</key>
  <array>
PLIST
  shift
  for word in "$@"; do printf '    <string>%s</string>\n' "$(xml_text "$word")"; done
  printf '  </array>\n'
  cat
  printf '</dict>\n</plist>\n'
}
