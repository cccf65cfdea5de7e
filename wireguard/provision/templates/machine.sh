# What the script and its guard both know of the machine. INIT, MAIN and STATE are set.
RULES=/etc/nftables.d/latchkey.nft
SYSCTL=/etc/sysctl.d/99-zz-latchkey.conf

nap() { sleep 0.2 2>/dev/null || sleep 1; }

# Seconds since the machine started: no clock that is put right makes a wait longer.
now() {
  IFS= read -r uptime </proc/uptime
  echo "${uptime%%.*}"
}

includes_rules() { grep -Eq '^[[:space:]]*include[[:space:]]+"/etc/nftables\.d/(latchkey|\*)\.nft"' "$MAIN" 2>/dev/null; }

is_enabled() {
  case $INIT in
    systemd) systemctl is-enabled "$1" >/dev/null 2>&1 ;;
    # Alpine's own words have it in "boot"
    openrc) rc-update show default boot sysinit 2>/dev/null | grep -q "^ *$1 *|" ;;
    *) return 0 ;;
  esac
}

# Takes lines of a path below /proc/sys, a blank and a value.
set_sysctls() {
  failed=0
  while read -r path value; do
    if [ -z "$path" ] || [ "$(cat "/proc/sys/$path")" = "$value" ]; then continue; fi
    printf '%s\n' "$value" >"/proc/sys/$path" || failed=1
  done
  return $failed
}

# Does the guard live? One that was killed may stay in the list of processes, and its number may become another's.
guarded() {
  [ -e "$STATE/pid" ] || return 1
  IFS= read -r pid <"$STATE/pid"
  { tr '\000' ' ' <"/proc/$pid/cmdline" | grep -qF "$STATE/guard.sh watch"; } 2>/dev/null
}
