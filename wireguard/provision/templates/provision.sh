#!/bin/sh
# shellcheck disable=SC2034,SC2153 # not all of a part is of use here, and UNITS is no UNIT
# Readies a Linux machine: packages, forwarding, services and the firewall, by Latchkey. The rules are loaded at once and made permanent
# only when somebody has confirmed them; unconfirmed, what was before comes back by itself.

# @@values@@

# @@state@@

# @@part say@@

# @@part undo@@

# @@part packages@@

# @@part kernel@@

# @@part boot@@

PACKAGES=''
TRY=no
MAIN=''
UNITS=''

# @@own machine@@

# @@own tunnel@@

guard_text() {
  cat <<'GUARD'
# @@own guard@@
GUARD
}

usage() {
  cat <<USAGE
usage: sh provision.sh [--confirm | --roll-back | --help]

Readies this machine as a $ROLE: installs what is missing, loads the firewall and
waits $WAIT seconds for a confirmation. Without it what was before comes back.

  --confirm    the rules that wait stay, also after a restart; to be given from
               a new connection, which shows that one still gets in
  --roll-back  what was before comes back now
  --help       says this
USAGE
}

# refuse MESSAGE HINT: nothing was done, as it would not be safe.
refuse() {
  printf 'error: %s\n' "$1" >&2
  hint "$2"
  exit 3
}

find_boot() {
  find_init
  case $INIT in
    systemd) NFT_UNIT=nftables.service ;;
    openrc) NFT_UNIT=nftables ;;
    none) NFT_UNIT='' ;;
  esac
}

# Of the services that such a machine has, those that are here are started at boot.
find_units() {
  UNITS=$NFT_UNIT
  ABSENT=''
  for unit in $SERVICES; do
    if [ "$INIT" = openrc ]; then unit=$(printf '%s' "$unit" | sed -e 's/\.service$//' -e 's/^wg-quick@/wg-quick./'); fi
    if is_here "$unit" || is_coming "$unit"; then
      UNITS="$UNITS $unit"
    else
      ABSENT="$ABSENT $unit"
    fi
  done
}

is_here() {
  case $INIT-$1 in
    systemd-wg-quick@*)
      tunnel=${1#wg-quick@}
      [ -e "/etc/wireguard/${tunnel%.service}.conf" ]
      ;;
    systemd-*) [ -e "/etc/systemd/system/$1" ] ;;
    openrc-*) [ -e "/etc/init.d/$1" ] ;;
    *) return 1 ;;
  esac
}

# Of the tunnel that is put in place only later.
is_coming() { [ -n "$TUNNEL" ] && [ "$1" = "$UNIT" ]; }

# What nftables.service loads, which differs among distributions.
find_main() {
  for MAIN in /etc/sysconfig/nftables.conf /etc/nftables.nft /etc/nftables.conf; do
    if [ -e "$MAIN" ]; then break; fi
  done
  if [ -L "$MAIN" ]; then MAIN=$(readlink -f "$MAIN"); fi
}

# It may be somebody else's, and a package that is put in and taken out again may take it along.
save_main() {
  find_main
  if [ ! -e "$MAIN" ]; then return 0; fi
  cp -p "$MAIN" "$WORK/main-before" || die "cannot copy $MAIN"
  arm undo_main "$MAIN"
}

undo_main() {
  if same "$1" "$WORK/main-before"; then return 0; fi
  cp -p "$WORK/main-before" "$1"
}

package_of() {
  case $1 in
    nft) echo nftables ;;
    # Alpine has it in two, and this brings both
    wg | wg-quick) echo wireguard-tools ;;
    ip) if [ "$MANAGER" = dnf ] || [ "$MANAGER" = yum ]; then echo iproute; else echo iproute2; fi ;;
  esac
}

install_missing() {
  find_manager || :
  needed=''
  programs='nft wg'
  if [ -n "$TUNNEL" ]; then programs='nft wg wg-quick ip'; fi
  for program in $programs; do
    if has "$program"; then continue; fi
    package=$(package_of "$program")
    case "$needed " in *" $package "*) ;; *) needed="$needed $package" ;; esac
  done
  if [ -n "$TUNNEL" ] && ! kernel_has_wireguard; then
    if [ ! -c /dev/net/tun ]; then die "the kernel has no WireGuard, and there is no /dev/net/tun for wireguard-go"; fi
    has wireguard-go || needed="$needed wireguard-go"
  fi
  if [ -z "$needed" ]; then return 0; fi
  find_manager || die "no package manager that is known here" "install by hand:$needed"
  list_packages "$WORK/packages" || die "$MANAGER does not say what is installed" "install by hand:$needed"
  save_main
  COUNTED=no
  arm undo_packages
  # shellcheck disable=SC2086 # it is a line of names
  add_packages $needed || { find_more_packages && add_packages $needed; } ||
    die "$MANAGER could not install:$needed" "its own words are above; install it by hand"
  if new_packages; then
    PACKAGES=$NEW
    COUNTED=yes
  fi
  for program in $programs; do
    has "$program" || die "there is no $program, also after installing:$needed"
  done
}

# A file that cannot be loaded brings nothing back after a restart, and one that is not in use may have anything in it.
check_main() {
  if [ ! -e "$MAIN" ]; then return 0; fi
  nft -c -f "$MAIN" || die "$MAIN cannot be loaded, so that after a restart nothing would be" "mend it first: nft -c -f $MAIN"
  if [ "$INIT" = none ] || is_enabled "$NFT_UNIT"; then return 0; fi
  # shellcheck disable=SC2016 # for that shell
  unshare -n sh -c 'nft -f "$1" && { nft delete table inet latchkey 2>/dev/null; nft list ruleset; }' sh "$MAIN" \
    >"$WORK/sleeping" 2>/dev/null ||
    refuse "$NFT_UNIT is off, and what $MAIN would do cannot be tried here" "look at it, and enable $NFT_UNIT yourself"
  if grep -Evq '^(table .*|[[:space:]]*chain .*|[[:space:]]*type .* policy accept;|[[:space:]]*\}|)$' "$WORK/sleeping"; then
    refuse "$MAIN has rules that are not in use, and would be after a restart" "have nftables installed, and empty that file or enable $NFT_UNIT yourself"
  fi
}

# Whatever is there under that name, and is not what the file has, is somebody's.
check_tunnel() {
  if [ -z "$TUNNEL" ]; then return 0; fi
  GIVEN=$WORK/tunnel/$TUNNEL.conf
  mkdir "$WORK/tunnel"
  printf '%s\n' "$TUNNEL_TEXT" >"$GIVEN" || die "cannot write $GIVEN"
  CONF=/etc/wireguard/$TUNNEL.conf
  other="take that tunnel away first, or have this one called otherwise by --interface NAME"
  if [ -e "$CONF" ] || [ -L "$CONF" ]; then
    same "$CONF" "$GIVEN" || refuse "$CONF is there already, and another one" "$other"
  elif interface_there; then
    refuse "there is an interface $TUNNEL already, and it has no $CONF" "$other"
  fi
  if ! interface_there; then TRY=yes; fi
  if grep -qi '^[[:space:]]*DNS[[:space:]]*=' "$GIVEN" && ! dns_works; then
    refuse "the tunnel's file has name servers, and this machine has no resolvconf that works" "install resolvconf or openresolv, or leave the line DNS out"
  fi
}

tunnel_in_place() {
  [ -n "$TUNNEL" ] || return 0
  [ "$TRY" = no ] && same "$CONF" "$GIVEN" && [ -n "$(find "$CONF" -prune -perm 600)" ]
}

# It is up before anybody has confirmed it, since it may be what shuts out; from a file that is gone after a restart.
try_tunnel() {
  if [ "$TRY" = no ]; then return 0; fi
  # who is waited for longer than the guard does is not found
  with_usual_umask env WG_ENDPOINT_RESOLUTION_RETRIES=1 wg-quick up "$STATE/tunnel/$TUNNEL.conf" ||
    die "wg-quick could not bring up $TUNNEL" "its own words are above"
}

same() { [ -e "$1" ] && [ -e "$2" ] && [ "$(cat "$1")" = "$(cat "$2")" ]; }

# Loaded in a network of its own and listed, rules look as those that are there when they are the same.
rules_in_place() {
  nft -s list table inet latchkey >"$WORK/live" 2>/dev/null || return 1
  # shellcheck disable=SC2016 # for that shell
  unshare -n sh -c 'nft -f "$1" && nft -s list table inet latchkey' sh "$WORK/wanted.nft" \
    >"$WORK/listed" 2>/dev/null || return 1
  same "$WORK/live" "$WORK/listed" && same "$WORK/wanted.nft" "$RULES" && includes_rules
}

sysctls_in_place() {
  while read -r path value; do
    [ "$(cat "/proc/sys/$path")" = "$value" ] || return 1
  done <"$WORK/sysctls"
  [ "$(sed -n 's/ = / /p' "$SYSCTL" 2>/dev/null)" = "$(cat "$WORK/sysctls")" ]
}

in_place() {
  rules_in_place || return 1
  if [ -s "$WORK/sysctls" ]; then sysctls_in_place || return 1; fi
  tunnel_in_place || return 1
  for unit in $UNITS; do
    is_enabled "$unit" || return 1
  done
}

# The former rules as a file that puts them back, or the absence of any.
write_before() {
  printf 'table inet latchkey\ndelete table inet latchkey\n' >"$WORK/before.nft"
  nft list table inet latchkey >>"$WORK/before.nft" 2>/dev/null || :
  nft -c -f "$WORK/before.nft" || die "the rules that are there could not be put back" "nft list table inet latchkey shows them"
}

# A machine that forwards IPv6 forgets the router that it knows by announcements, unless it is told to listen all the same.
announced_routers() {
  for folder in /proc/sys/net/ipv6/conf/*; do
    if [ ! -e "$folder/accept_ra" ]; then continue; fi
    name=${folder##*/}
    line="net/ipv6/conf/$name/accept_ra"
    if grep -qxF "$line = 2" "$SYSCTL" 2>/dev/null; then
      echo "$line 2"
    elif [ "$(cat "$folder/accept_ra")" = 1 ] && ip -6 route show default dev "$name" 2>/dev/null | grep -q 'proto ra'; then
      echo "$line 2"
    fi
  done
}

write_sysctls() {
  : >"$WORK/sysctls"
  : >"$WORK/sysctls-before"
  if [ -z "$SYSCTLS" ]; then return 0; fi
  {
    announced_routers
    printf '%s\n' "$SYSCTLS"
  } >"$WORK/all-sysctls"
  while read -r path value; do
    # a machine without IPv6 has nothing of it to forward
    if [ ! -e "/proc/sys/$path" ]; then
      warn "there is no /proc/sys/$path"
      continue
    fi
    printf '%s %s\n' "$path" "$value" >>"$WORK/sysctls"
    printf '%s %s\n' "$path" "$(cat "/proc/sys/$path")" >>"$WORK/sysctls-before"
  done <"$WORK/all-sysctls"
}

# TCP ports on which something listens for others, by the kernel's own list: in hexadecimal, 0A is LISTEN.
listening() {
  for list in /proc/net/tcp /proc/net/tcp6; do
    if [ ! -r "$list" ]; then continue; fi
    while read -r _ address _ state _; do
      case $state-$address in
        0A-??????7F:* | 0A-0000000000000000FFFF0000??????7F:* | 0A-00000000000000000000000001000000:*) ;;
        0A-*) echo "$((0x${address##*:}))" ;;
      esac
    done <"$list"
  done | sort -nu
}

# Whoever closes a web server should know before somebody else tells.
tell_closed() {
  open=" $(sed -n 's/^[[:space:]]*tcp dport \(.*\) accept$/\1/p' "$WORK/wanted.nft" | tr '{},\n' '    ') "
  closed=''
  for port in $(listening); do
    case $open in *" $port "*) ;; *) closed="$closed $port" ;; esac
  done
  if [ -n "$closed" ]; then warn "something listens on TCP$closed, which these rules close; --open PORT keeps one open"; fi
}

# A hub that nothing starts is one less after the next power cut. What else is not here, not every machine has.
tell_absent() {
  case "$ABSENT " in
    *' latchkey-hub'*)
      warn "there is no service latchkey-hub here, so nothing starts the hub at boot"
      hint "wghub service print prints it; put it in place, and do this again"
      ;;
  esac
}

# What a run before this has left: rules that wait, or those of a guard that somebody has killed.
check_waiting() {
  if [ -e "$STATE/facts" ] && [ ! -e "$STATE/outcome" ]; then
    if guarded; then
      refuse "rules of another run wait for their confirmation" "sh $STATE/guard.sh confirm, or the same with abandon"
    fi
    warn "nobody watches over the rules of an earlier run any more"
    sh "$STATE/guard.sh" restore || die "what was before that run could not be put back"
  fi
  rm -rf "$STATE" "$STATE.new"
  # half written when the power failed
  rm -f /etc/wireguard/*.latchkey-new "$RULES.latchkey-new" "$SYSCTL.latchkey-new"
}

make_state() {
  printf '%s\n' "$RULESET" >"$WORK/wanted.nft"
  guard_text >"$WORK/guard.sh"
  {
    printf "INIT='%s'\nMAIN='%s'\nUNITS='%s'\nWAIT='%s'\n" "$INIT" "$MAIN" "$UNITS" "$WAIT"
    printf "TUNNEL='%s'\nTUNNEL_KEY='%s'\nTRY='%s'\n" "$TUNNEL" "$TUNNEL_KEY" "$TRY"
  } >"$WORK/facts"
  arm undo_guarded
  cp -R "$WORK" "$STATE.new" || die "cannot make $STATE.new"
  mv "$STATE.new" "$STATE" || die "cannot make $STATE"
}

# Once the guard runs it undoes, and nobody else does.
undo_guarded() {
  rm -rf "$STATE.new"
  if [ -e "$STATE/ready" ]; then
    sh "$STATE/guard.sh" abandon >&2
  else
    rm -rf "$STATE"
  fi
}

# In a session of its own; where there is systemd in a unit of its own too, since with a session systemd may end all that it has started.
start_guard() {
  if [ "$INIT" = systemd ] && has systemd-run &&
    systemd-run --quiet --collect --unit="latchkey-guard-$$" sh "$STATE/guard.sh" watch >/dev/null 2>&1; then
    guard_ready || die "systemd has not started the guard" "without it nothing is loaded"
    return 0
  fi
  if has setsid; then
    setsid sh "$STATE/guard.sh" watch </dev/null >/dev/null 2>&1 &
  else
    nohup sh "$STATE/guard.sh" watch </dev/null >/dev/null 2>&1 &
  fi
  guard_ready || die "the guard, which puts back what was before, did not start" "without it nothing is loaded"
}

guard_ready() {
  tries=0
  until [ -e "$STATE/ready" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 50 ]; then return 1; fi
    nap
  done
}

# A tunnel's private key is on no disk before it is confirmed. What package managers start has other use for TMPDIR.
begin_in_memory() {
  usual=${TMPDIR:-}
  if [ -w /run ]; then TMPDIR=/run; fi
  begin
  TMPDIR=$usual
}

apply() {
  begin_in_memory
  # whoever starts this may have another one, and what services and package managers make is for others to read too
  USUAL_UMASK=022
  check_waiting
  find_boot
  check_tunnel
  install_missing
  find_main
  find_units
  printf '%s\n' "$RULESET" >"$WORK/wanted.nft"
  nft -c -f "$WORK/wanted.nft" || die "nft does not take these rules" "its own words are above"
  write_sysctls
  if in_place; then
    keep
    if [ -n "$PACKAGES" ]; then say "installed: $PACKAGES"; else say "everything is in place: nothing was changed"; fi
    return 0
  fi
  check_main
  tell_closed
  if [ "$INIT" != none ]; then tell_absent; fi
  write_before
  make_state
  start_guard
  cmd nft -f "$STATE/wanted.nft" || die "nft could not load the rules"
  set_sysctls <"$STATE/sysctls" || die "forwarding could not be switched on"
  try_tunnel
  if [ "$INIT" = none ]; then
    warn "neither systemd nor OpenRC runs here: have this run as root when the machine starts: nft -f $RULES${TUNNEL:+; wg-quick up $TUNNEL}"
  fi
  if [ -n "$PACKAGES" ]; then say "installed, and stays: $PACKAGES"; fi
  keep
  say "waiting $WAIT seconds for a confirmation; without it what was before comes back"
  say "from a new connection, as root: sh $STATE/guard.sh confirm"
}

# tell_guard WORD
tell_guard() {
  if [ ! -e "$STATE/guard.sh" ]; then
    die "nothing waits for a confirmation" "what was confirmed stays, and what was not in time is gone"
  fi
  sh "$STATE/guard.sh" "$1"
}

main() {
  if [ $# -gt 1 ]; then set -- "$*"; fi
  case ${1:-} in
    '' | --confirm | --roll-back) ;;
    --help | -h)
      usage
      exit 0
      ;;
    *)
      printf 'error: there is no option %s\n' "$1" >&2
      hint "--help says what there is"
      exit 2
      ;;
  esac
  if [ "$(uname -s)" != Linux ]; then die "this script is for Linux, and this is $(uname -s)"; fi
  if [ "$(id -u)" != 0 ]; then die "only root can load a firewall" "run it by sudo sh"; fi
  case ${1:-} in
    --confirm) tell_guard confirm ;;
    --roll-back) tell_guard abandon ;;
    *) apply ;;
  esac
}

# the last line, so that half a download does nothing
main "$@" </dev/null
