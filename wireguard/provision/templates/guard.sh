# Decides, alone, what becomes of rules that were loaded: kept once somebody has confirmed them, and what was before when nobody has. It
# is no child of the session that loaded them, and does not end with it.
#
# usage: sh guard.sh watch|confirm|abandon|restore
# shellcheck disable=SC2034,SC2153 # not all of a part is of use here, and UNITS is no UNIT

# @@state@@

# @@part say@@

# @@part undo@@

# @@part boot@@

# @@own machine@@

# @@own tunnel@@

# su gives root the programs of others
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

# Written before this is started: INIT, MAIN, UNITS, WAIT, TUNNEL, TUNNEL_KEY, TRY.
# shellcheck source=/dev/null
. "$STATE/facts"
BEFORE=$(cat "$STATE/before.nft") || exit 1
SYSCTLS_BEFORE=$(cat "$STATE/sysctls-before") || exit 1
OUTCOME='rolled back'
USUAL_UMASK=022

arm_what_was() {
  arm restore_rules
  arm restore_sysctls
  if [ "$TRY" = yes ]; then arm drop_tunnel; fi
}

restore_rules() {
  printf '%s\n' "$BEFORE" | nft -f - && return 0
  # rather no rules of ours than such as nobody gets in by
  nft delete table inet latchkey
  return 1
}

restore_sysctls() { printf '%s\n' "$SYSCTLS_BEFORE" | set_sysctls; }

# put FILE TARGET MODE: at no moment is there half of it, also when the power fails. Mode and owner of what is there stay.
put() {
  if [ ! -d "${2%/*}" ]; then mkdir -m 755 "${2%/*}" || return 1; fi
  new=$2.latchkey-new
  if [ -e "$2" ]; then cp -p "$2" "$new" || return 1; fi
  cat "$1" >"$new" || return 1
  if [ ! -e "$2" ]; then chmod "$3" "$new" || return 1; fi
  sync "$new" 2>/dev/null || sync
  mv -f "$new" "$2"
}

# save TARGET: arms that it is put back as it was, or taken away.
save() {
  copy=$STATE/saved$(printf '%s' "$1" | tr / _)
  if [ -e "$1" ]; then cp -p "$1" "$copy" || die "cannot copy $1"; fi
  if [ ! -d "${1%/*}" ]; then arm undo_folder "${1%/*}"; fi
  arm undo_put "$1" "$copy"
}

undo_put() {
  rm -f "$1.latchkey-new"
  if [ ! -e "$2" ]; then
    rm -f "$1"
    return
  fi
  if [ "$(cat "$2")" = "$(cat "$1" 2>/dev/null)" ]; then return 0; fi
  cp -p "$2" "$1.latchkey-new" && mv -f "$1.latchkey-new" "$1"
}

undo_folder() { [ ! -d "$1" ] || rmdir "$1"; }

add_include() {
  if [ -e "$MAIN" ]; then
    cat "$MAIN" >"$STATE/main" || return 1
    # a last line without an end would become one with ours
    if [ -n "$(tail -c 1 "$STATE/main")" ]; then echo >>"$STATE/main"; fi
  else
    printf '#!/usr/sbin/nft -f\n' >"$STATE/main" || return 1
  fi
  printf 'include "%s"\n' "$RULES" >>"$STATE/main" || return 1
  put "$STATE/main" "$MAIN" 755
}

at_boot() {
  if is_enabled "$1"; then return 0; fi
  arm undo_at_boot "$1"
  case $INIT in
    systemd) cmd systemctl enable "$1" ;;
    openrc) cmd rc-update add "$1" default ;;
  esac
}

undo_at_boot() {
  if ! is_enabled "$1"; then return 0; fi
  case $INIT in
    systemd) cmd systemctl disable "$1" ;;
    openrc) cmd rc-update del "$1" default ;;
  esac
}

# What was up on trial goes on as whatever starts it at boot has it: one that was started otherwise would not be stopped by that.
keep_tunnel() {
  if [ -z "$TUNNEL" ]; then return 0; fi
  CONF=/etc/wireguard/$TUNNEL.conf
  find_init
  save "$CONF"
  if [ ! -d /etc/wireguard ]; then mkdir -m 700 /etc/wireguard || die "cannot make /etc/wireguard"; fi
  if ! put "$STATE/tunnel/$TUNNEL.conf" "$CONF" 600 || ! chmod 600 "$CONF"; then die "cannot write $CONF"; fi
  if [ -z "$UNIT" ] || ! is_enabled "$UNIT"; then start_at_boot; fi
  if [ "$TRY" = no ]; then return 0; fi
  drop_tunnel || die "cannot stop $TUNNEL, which was up on trial"
  start_tunnel
  is_up || die "$TUNNEL is not up, although what starts it says that it is"
}

# From here on all of it is there after a restart too.
make_permanent() {
  save "$RULES"
  put "$STATE/wanted.nft" "$RULES" 644 || die "cannot write $RULES"
  if ! includes_rules; then
    save "$MAIN"
    add_include || die "cannot write $MAIN"
  fi
  nft -c -f "$MAIN" || die "$MAIN cannot be loaded with these rules in it"
  keep_tunnel
  for unit in $UNITS; do
    at_boot "$unit" || die "cannot have $unit started at boot"
  done
  if [ -s "$STATE/sysctls" ]; then
    save "$SYSCTL"
    { echo '# by Latchkey' && sed 's/ / = /' "$STATE/sysctls"; } >"$STATE/sysctl.conf"
    put "$STATE/sysctl.conf" "$SYSCTL" 644 || die "cannot write $SYSCTL"
  fi
  sync
}

# The last of it, whatever happened.
decided() {
  trap - EXIT
  trap '' HUP INT TERM PIPE
  if [ -n "$UNDO" ]; then
    roll_back
    # shellcheck disable=SC2154 # roll_back sets it
    if [ -n "$left" ]; then OUTCOME=broken; fi
  fi
  printf '%s\n' "$OUTCOME" >"$STATE/outcome.new"
  mv "$STATE/outcome.new" "$STATE/outcome"
  # nobody asked, so nobody is going to read it
  if [ ! -e "$STATE/confirm" ] && [ ! -e "$STATE/abandon" ]; then rm -rf "$STATE"; fi
  exit 0
}

watch() {
  cd / || exit 1
  exec </dev/null >>"$STATE/log" 2>&1
  trap '' HUP PIPE
  umask 077
  end=$(($(now) + WAIT))
  # whoever started this may have given up
  echo $$ >"$STATE/pid" || exit 1
  arm_what_was
  trap decided EXIT
  trap 'exit 1' INT TERM
  if ! true >"$STATE/ready"; then
    keep
    exit 1
  fi
  until [ -e "$STATE/abandon" ] || [ "$(now)" -ge "$end" ]; do
    if [ -e "$STATE/confirm" ]; then
      OUTCOME=failed
      make_permanent
      keep
      OUTCOME=kept
      exit 0
    fi
    nap
  done
  exit 0
}

restore() {
  arm_what_was
  roll_back
}

# ask WORD: tells the guard, and waits for what it says; its words are in ANSWER, none when it was gone with everything.
ask() {
  ANSWER=''
  { true >"$STATE/$1"; } 2>/dev/null || return 0
  while [ -d "$STATE" ]; do
    watched=no
    if guarded; then watched=yes; fi
    if [ -e "$STATE/outcome" ]; then
      IFS= read -r ANSWER <"$STATE/outcome"
      return 0
    fi
    if [ "$watched" = no ] && [ -d "$STATE" ]; then
      restore
      ANSWER=unguarded
      return 0
    fi
    nap
  done
}

# failed_with WORDS: in the guard's own words first.
failed_with() {
  if [ -s "$STATE/log" ]; then cat "$STATE/log" >&2; fi
  rm -rf "$STATE"
  die "$1"
}

confirm() {
  ask confirm
  case $ANSWER in
    kept) ;;
    failed) failed_with "they could not be made permanent, and what was before is back" ;;
    broken) failed_with "not all could be put back: look at what is said above" ;;
    unguarded) failed_with "nobody watched over these rules any more, and what was before is back" ;;
    *)
      rm -rf "$STATE"
      die "too late: what was before is back already" "do it again, and confirm within $WAIT seconds"
      ;;
  esac
  rm -rf "$STATE"
  say "confirmed: these rules stay, also after a restart"
}

abandon() {
  ask abandon
  case $ANSWER in
    kept) failed_with "they were confirmed meanwhile, and stay" ;;
    broken) failed_with "not all could be put back: look at what is said above" ;;
  esac
  rm -rf "$STATE"
  say "what was before is back"
}

case ${1:-} in
  watch) watch ;;
  confirm) confirm ;;
  abandon) abandon ;;
  restore) restore ;;
  *) exit 2 ;;
esac
