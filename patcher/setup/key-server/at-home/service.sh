# The service of the key server, and whoever starts it.
UNIT=latchkey-keyserver.service
LABEL=latchkey.keyserver
# it has 20 to stop in order
UNLOAD_SECONDS=30

# Whoever starts programs at boot here.
manager() {
  if [ "$PLATFORM" = macos ]; then
    echo launchd
  elif [ -d /run/systemd/system ] && has systemctl; then
    echo systemd
  else
    echo none
  fi
}

service_file() {
  if [ "$PLATFORM" = macos ]; then
    echo "/Library/LaunchDaemons/$LABEL.plist"
  else
    echo "/etc/systemd/system/$UNIT"
  fi
}

is_enabled() {
  case $(manager) in
    systemd) systemctl is-enabled --quiet "$UNIT" ;;
    launchd) job_loaded "$LABEL" ;;
    none) return 1 ;;
  esac
}

# is_active: it runs, or is about to.
is_active() {
  case $(manager) in
    systemd) systemctl is-active --quiet "$UNIT" ;;
    launchd) job_loaded "$LABEL" ;;
    none) return 1 ;;
  esac
}

# is_given_up: it was refused, and is not started again.
is_given_up() { [ "$(manager)" = systemd ] && systemctl is-failed --quiet "$UNIT"; }

# serve TEXT: the service is as TEXT says, now and at boot.
serve() {
  file=$(service_file)
  changed=''
  if [ ! -f "$file" ] || [ "$(cat "$file")" != "$1" ]; then
    changed=yes
    if [ ! -f "$file" ]; then echo 'made service'; fi
    printf '[#] write %s\n' "$file" >&2
    {
      printf '%s\n' "$1" >"$file.new" && chmod 644 "$file.new" && chown 0:0 "$file.new" && mv -f "$file.new" "$file"
    } || die "cannot write $file"
  fi
  case $(manager) in
    systemd)
      cmd systemctl daemon-reload || die "systemd does not look at $file"
      systemctl is-enabled --quiet "$UNIT" || cmd systemctl enable "$UNIT" || die "systemd does not start $UNIT at boot"
      if [ -z "$changed" ] && systemctl is-active --quiet "$UNIT"; then return 0; fi
      systemctl reset-failed "$UNIT" 2>/dev/null
      cmd systemctl restart "$UNIT" || die "systemd does not start $UNIT" "see: journalctl -u $UNIT"
      ;;
    launchd)
      if job_loaded "$LABEL"; then
        if [ -z "$changed" ]; then return 0; fi
        unload_job "$LABEL" "$UNLOAD_SECONDS" || die "launchd does not let go of $LABEL"
      fi
      launchctl enable "system/$LABEL"
      cmd launchctl bootstrap system "$file" || die "launchd does not take $file"
      ;;
    none) die "nothing starts programs at boot here" ;;
  esac
}

running() {
  echo "active $(yes_or_no is_active)"
  echo "givenUp $(yes_or_no is_given_up)"
}

unserve() {
  file=$(service_file)
  case $(manager) in
    systemd)
      if systemctl is-enabled --quiet "$UNIT"; then cmd systemctl disable "$UNIT" || die "systemd does not disable $UNIT"; fi
      if systemctl is-active --quiet "$UNIT"; then cmd systemctl stop "$UNIT" || die "systemd does not stop $UNIT"; fi
      ;;
    launchd) if job_loaded "$LABEL"; then unload_job "$LABEL" "$UNLOAD_SECONDS" || die "launchd does not let go of $LABEL"; fi ;;
  esac
  rm -f "$file.new"
  if [ -f "$file" ]; then cmd rm "$file" || die "cannot remove $file"; fi
  if [ "$(manager)" = systemd ]; then
    systemctl daemon-reload
    systemctl reset-failed "$UNIT" 2>/dev/null
  fi
  return 0
}
