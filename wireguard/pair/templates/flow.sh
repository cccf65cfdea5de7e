# What can be asked of one end. The platform has find_platform, tools_are_there, check_platform and end_tunnel; from the parts of installers
# come install_wireguard, start_at_boot and start_tunnel, each arming its undo, starts_at_boot, is_up, interface_there and not_at_boot.
PACKAGES=''
MADE=''
OPENED=''
# a tunnel that carries something makes a new handshake within two minutes; the rest is for a keepalive, and for one that got lost
FRESH=180

# As wg says it: seconds, `never`, or `none` where there is no interface.
handshake_age() {
  if ! is_up; then
    echo none
    return 0
  fi
  newest=$(wg show "$LIVE" latest-handshakes 2>/dev/null | sed -n 's/.*[[:space:]]\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
  if [ "${newest:-0}" = 0 ]; then
    echo never
    return 0
  fi
  age=$(($(date +%s) - newest))
  if [ "$age" -lt 0 ]; then age=0; fi
  echo "$age"
}

handshake_is_fresh() {
  age=$(handshake_age)
  case $age in never | none) return 1 ;; esac
  [ "$age" -le "$FRESH" ]
}

conf_state() {
  if of_pair "$CONF"; then
    if settings_are_as_agreed; then echo agreed; else echo ours; fi
  elif is_there "$CONF"; then
    echo foreign
  else
    echo none
  fi
}

interface_state() {
  if ! interface_there; then
    echo none
  elif interface_is_foreign; then
    echo foreign
  else
    echo ours
  fi
}

look() {
  answer "tools $(yes_or_no tools_are_there)"
  answer "conf $(conf_state)"
  answer "draft $(yes_or_no of_pair "$DRAFT")"
  if [ -n "$PUBLIC_KEY" ]; then answer "public-key $PUBLIC_KEY"; fi
  peer=$(peer_key)
  if [ -n "$peer" ]; then answer "peer-key $peer"; fi
  answer "interface $(interface_state)"
  answer "boot $(yes_or_no starts_at_boot)"
  answer "init $INIT"
  answer "keeper $(yes_or_no keeper_runs)"
  answer "keeps $KEEPS"
  answer "firewall $(firewall_here)"
  answer "guard $(guard_state)"
  answer "handshake $(handshake_age)"
}

# The key is made once, and is in a draft until `settle`.
make_key() {
  check_place
  if [ -z "$KEPT" ]; then
    install_wireguard
    make_folder "${CONF%/*}" 700 || die "cannot make ${CONF%/*}"
    arm rm -f "$DRAFT" "$DRAFT.new"
    key=$(wg genkey) || die "wg could not make a key"
    { head_of_conf && printf 'PrivateKey = %s\n' "$key"; } | put_file "$DRAFT" 600 || die "cannot write $DRAFT"
    say "made a key in $DRAFT"
    find_key
  elif ! tools_are_there; then
    install_wireguard
    find_key
  fi
  if [ -z "$PUBLIC_KEY" ]; then die "there is no key of WireGuard in $KEPT" "take it away $TRY_AGAIN"; fi
  keep
  answer "public-key $PUBLIC_KEY"
}

# bring_up OTHER_KEY
bring_up() {
  check_place
  if [ -z "$KEPT" ]; then die "this end has no key yet"; fi
  tools_are_there || die "WireGuard is not installed"
  PACKAGES=$(noted 'installed for it')
  MADE=$(noted 'made for it')
  OPENED=$(noted 'opened for it')
  needed_openings
  wanted=$(wanted_conf "$1") || die "cannot read $KEPT"
  same=no
  if of_pair "$CONF" && [ "$(cat "$CONF")" = "$wanted" ]; then same=yes; fi
  if [ "$same" = yes ] && is_up && starts_at_boot && keeper_runs && [ "$(guard_state)" != absent ]; then
    open_all
    keep
    answer "changed no"
    return 0
  fi
  put_guard
  if [ "$same" = no ]; then
    check_endpoint
    replace_conf
  fi
  open_all
  if ! starts_at_boot; then start_at_boot; fi
  if [ "$same" = no ] && is_up; then end_tunnel || die "cannot stop $TUNNEL"; fi
  # what carries a tunnel lives on, and would keep these files open
  if ! is_up; then start_tunnel 3>&- 9>&-; fi
  load_guard
  if ! keeper_runs; then keep_up; fi
  keep
  rm -f "$CONF.former"
  answer "changed yes"
}

# A unit of wg-quick waits for a name that is not found, without an end.
check_endpoint() {
  name=${ENDPOINT%:*}
  case $name in *:*) return 0 ;; *[!0-9.]*) ;; *) return 0 ;; esac
  if is_found "$name"; then return 0; fi
  die "this machine finds no address for the name $name" "look whether it is spelled right, and which name servers are asked here"
}

# Nothing with a key in it is anywhere but beside CONF, as what a killed run has left there is found again.
replace_conf() {
  if of_pair "$CONF"; then
    put_file "$CONF.former" 600 <"$CONF" || die "cannot keep $CONF"
    WAS_UP=$(yes_or_no is_up)
    arm former_back
    printf '%s\n' "$wanted" | put_file "$CONF" 600 || die "cannot write $CONF"
  else
    arm rm -f "$CONF" "$CONF.new"
    printf '%s\n' "$wanted" >"$CONF.new" || die "cannot write $CONF.new"
    { chown 0:0 "$CONF.new" && on_disk "$CONF.new"; } || die "cannot write $CONF.new"
    # by a link, since that fails when something has come to be there meanwhile
    ln "$CONF.new" "$CONF" || die "cannot write $CONF"
    rm -f "$CONF.new"
  fi
  say "wrote $CONF"
}

former_back() {
  if [ "$WAS_UP" = yes ] && is_up; then end_tunnel || return 1; fi
  mv -f "$CONF.former" "$CONF" || return 1
  if [ "$WAS_UP" = no ]; then return 0; fi
  (start_tunnel 3>&- 9>&-)
}

# What ping takes to wait a second differs, and not everybody has it.
poke() { ping -c 1 -W "$PING_WAIT" "$OTHER" >/dev/null 2>&1; }

# await SECONDS
await() {
  last=$(($(date +%s) + $1))
  until handshake_is_fresh; do
    poke || :
    if handshake_is_fresh; then break; fi
    if [ "$(date +%s)" -ge "$last" ]; then
      answer "handshake $(handshake_age)"
      die "nothing was heard from the other end within $1 seconds"
    fi
    sleep 1
  done
  answer "handshake $(handshake_age)"
}

# Both ends are connected: from here on the key is in the configuration alone.
settle() {
  if of_pair "$CONF" && of_pair "$DRAFT"; then cmd rm -f "$DRAFT" || die "cannot remove $DRAFT"; fi
  answer "changed no"
}

# Takes away all that was made for this end, and says what stays.
take_away() {
  if [ -z "$KEPT" ] && ! of_pair "$KEEPER" 2; then
    answer "changed no"
    return 0
  fi
  PACKAGES=$(noted 'installed for it')
  folders=$(noted 'made for it')
  end_keeper || die "cannot take away what looks after $TUNNEL" "nothing else was taken away"
  if of_pair "$CONF"; then
    if ! interface_is_foreign; then end_tunnel || die "cannot stop $TUNNEL" "$CONF is still there $TRY_AGAIN"; fi
    not_at_boot || die "cannot keep $TUNNEL from starting at boot" "$CONF is still there $TRY_AGAIN"
    close_all || warn "the firewall did not take back all of: $(noted 'opened for it' | tr '\n' ',')"
    cmd rm -f "$CONF" || die "cannot remove $CONF"
  fi
  end_guard || die "cannot take away $GUARD" "nft list ruleset shows what is in force"
  if of_pair "$DRAFT"; then cmd rm -f "$DRAFT" || die "cannot remove $DRAFT"; fi
  rm -f "$CONF.new" "$CONF.former" "$DRAFT.new"
  for folder in $folders "${KEEPER%/*}"; do
    case $folder in /etc/wireguard | */latchkey) rmdir "$folder" 2>/dev/null || : ;; esac
  done
  answer "changed yes"
  if [ -n "$PACKAGES" ]; then answer "stays $PACKAGES"; fi
}

# take_back: takes away what was never settled, with the packages that were installed for it.
take_back() {
  if ! of_pair "$DRAFT"; then
    answer "changed no"
    return 0
  fi
  take_away
  COUNTED=yes
  if [ -z "$PACKAGES" ]; then return 0; fi
  remove_installed || warn "these packages could not be taken away again: $PACKAGES"
}

main() {
  exec 3>&1 1>&2
  # programs that carry a tunnel would keep stderr open for it
  unset LOG_LEVEL
  if [ "$(id -u)" != 0 ]; then die "only root can make interfaces" "log in as root, or use sudo"; fi
  case ${1:-} in
    key | up | settle | down | undo) begin ;;
    look | wait) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;;
    *) die "one of these is to be done: look, key, up, wait, settle, undo, down" ;;
  esac
  find_platform
  find_key
  case $1 in
    look) look ;;
    key) make_key ;;
    up) bring_up "$2" ;;
    wait) await "$2" ;;
    settle) settle ;;
    undo) take_back ;;
    down) take_away ;;
  esac
}
