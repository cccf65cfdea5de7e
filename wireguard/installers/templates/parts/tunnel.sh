# A spoke's key, its registration and its configuration. The platform sets CONF, where wg-quick looks for it, and LIVE, the name under
# which the running interface is asked for.
PUBLIC_KEY=''
HUB_ADDRESSES=''
HANDSHAKE_WITHIN=30
PACKAGES=''

header() { printf '# spoke %s of %s, by Latchkey' "$SPOKE_ID" "$HUB_URL"; }

# Does the configuration that is there belong to this spoke?
conf_is_ours() {
  [ -f "$CONF" ] || return 1
  first=''
  IFS= read -r first <"$CONF" || :
  [ "$first" = "$(header)" ]
}

make_keys() {
  if ! wg genkey >"$WORK/private"; then die "wg could not make a key"; fi
  PUBLIC_KEY=$(wg pubkey <"$WORK/private") || die "wg could not make a public key"
  if [ -z "$PUBLIC_KEY" ]; then die "wg made no key"; fi
}

# register OS [MORE]: MORE is the rest of the request, as JSON behind a comma. The hub takes 64 characters of OS.
register() {
  system=$(printf '%s' "$1" | tr -cd ' -~' | cut -c 1-64)
  printf '{"token":"%s","publicKey":"%s","os":"%s"%s}\n' \
    "$(json_text "$TOKEN")" "$PUBLIC_KEY" "$(json_text "${system:-unknown}")" "${2:-}" >"$WORK/body"
  arm undo_registration
  TOLD=yes
  hub_post /api/spoke/register
  TOLD=$HUB_TOLD
  if [ "$HUB_STATUS" != 201 ]; then hub_refused "not registered"; fi
  read_answer
}

undo_registration() {
  if [ "$TOLD" = no ]; then return 0; fi
  printf '{"token":"%s","publicKey":"%s"}\n' "$(json_text "$TOKEN")" "$PUBLIC_KEY" >"$WORK/body"
  hub_post /api/spoke/withdraw
  case $HUB_STATUS in
    200) printf 'the hub has forgotten this spoke; for another try make a new token there\n' >&2 ;;
    404) ;;
    *)
      warn "the hub was not told ($HUB_STATUS): if it lists the spoke \"$SPOKE_NAME\", delete it there"
      return 1
      ;;
  esac
}

bad_answer() { die "the hub's answer is not a configuration: $1" "nothing of it was used; look at the log of the hub"; }

# Takes apart what the hub answered: $WORK/config is the configuration without the key. A line that is not known is refused, as
# wg-quick would run commands out of some.
read_answer() {
  part=''
  known=' '
  : >"$WORK/config"
  if [ "$(wc -c <"$WORK/answer")" -gt 65536 ]; then bad_answer "too long"; fi
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      '') continue ;;
      '# spoke: '*) [ "${line#*: }" = "$SPOKE_ID" ] || bad_answer "it is for another spoke" ;;
      '# hub-address: '*) read_hub_address "${line#*: }" ;;
      '# handshake-within: '*) read_patience "${line#*: }" ;;
      '#'*) continue ;;
      '[Interface]' | '[Peer]')
        case $known in *" $line "*) bad_answer "two of $line" ;; esac
        known="$known$line "
        part=$line
        printf '%s\n' "$line" >>"$WORK/config"
        ;;
      *) read_setting "$line" ;;
    esac
  done <"$WORK/answer"
  for name in '[Interface]Address' '[Peer]PublicKey' '[Peer]AllowedIPs' '[Peer]Endpoint'; do
    case $known in *" $name "*) ;; *) bad_answer "it lacks $name" ;; esac
  done
}

read_hub_address() {
  case $1 in '' | *[!0-9a-fA-F.:]*) bad_answer "hub-address" ;; esac
  HUB_ADDRESSES="$HUB_ADDRESSES $1"
}

read_patience() {
  case $1 in '' | *[!0-9]* | ????*) bad_answer "handshake-within" ;; esac
  HANDSHAKE_WITHIN=$1
}

# read_setting LINE: of the part that is being read. Names and values of other shapes are not shown either, as they may be made to look like something else.
read_setting() {
  name=${1%% = *}
  value=${1#* = }
  case $part$name in
    '[Interface]Address' | '[Interface]DNS' | '[Interface]MTU') ;;
    '[Peer]PublicKey' | '[Peer]PresharedKey' | '[Peer]AllowedIPs' | '[Peer]Endpoint' | '[Peer]PersistentKeepalive') ;;
    *) bad_answer "a line in it is not known here" ;;
  esac
  case $value in '' | "$1" | *[!][A-Za-z0-9+/=.,:_%\ -]*) bad_answer "$name" ;; esac
  case $known in *" $part$name "*) bad_answer "two of $name" ;; esac
  known="$known$part$name "
  if [ "$name" = DNS ] && ! dns_works; then
    warn "this machine has no resolvconf that works: the name servers of the hub ($value) are left out"
    return 0
  fi
  printf '%s = %s\n' "$name" "$value" >>"$WORK/config"
}

write_config() {
  {
    header
    printf '\n'
    if [ -n "$PACKAGES" ]; then printf '# installed for it: %s\n' "$PACKAGES"; fi
    while IFS= read -r line; do
      printf '%s\n' "$line"
      if [ "$line" = '[Interface]' ]; then
        IFS= read -r key <"$WORK/private"
        printf 'PrivateKey = %s\n' "$key"
      fi
    done <"$WORK/config"
  } >"$WORK/conf" || die "cannot write a configuration"
  folder=${CONF%/*}
  if [ ! -d "$folder" ]; then
    arm undo_folder "$folder"
    cmd mkdir -p -m 700 "$folder" || die "cannot make $folder"
  fi
  arm undo_config
  if ! cat "$WORK/conf" >"$CONF.new"; then die "cannot write $CONF.new"; fi
  # by a link, since that fails when something has come to be there meanwhile
  if ! ln "$CONF.new" "$CONF"; then die "cannot write $CONF"; fi
  rm -f "$CONF.new"
  say "wrote $CONF"
}

undo_folder() { [ ! -d "$1" ] || rmdir "$1"; }

undo_config() {
  rm -f "$CONF.new"
  if [ -f "$CONF" ] && [ "$(cat "$CONF")" = "$(cat "$WORK/conf")" ]; then rm -f "$CONF"; fi
}

# Has the interface the key that was made here? Another's is never touched.
interface_is_ours() { [ -n "$PUBLIC_KEY" ] && [ "$(wg show "$LIVE" public-key 2>/dev/null)" = "$PUBLIC_KEY" ]; }

handshake_seen() {
  wg show "$LIVE" latest-handshakes 2>/dev/null | {
    while read -r _ when; do
      if [ "${when:-0}" != 0 ]; then exit 0; fi
    done
    exit 1
  }
}

# Something to carry, so that the tunnel begins at once. What ping takes to wait a second differs, and not everybody has it. Only a shell of
# its own is silenced: what this one says when a signal comes meanwhile would be lost, too.
poke() {
  for address in $HUB_ADDRESSES; do
    (
      case $address in
        *:*) ping -6 -c 1 -W "${PING_WAIT:-1}" "$address" ;;
        *) ping -c 1 -W "${PING_WAIT:-1}" "$address" ;;
      esac
    ) >/dev/null 2>&1 && return 0
  done
  return 1
}

wait_for_handshake() {
  say "waiting for the hub, $HANDSHAKE_WITHIN seconds at the most"
  last=$(($(date +%s) + HANDSHAKE_WITHIN))
  answers=no
  until handshake_seen; do
    if poke; then answers=yes; fi
    if handshake_seen; then break; fi
    if [ "$(date +%s)" -ge "$last" ]; then
      die "the tunnel is up, but the hub did not answer through it within $HANDSHAKE_WITHIN seconds" \
        "may UDP go out from here to $(sed -n 's/^Endpoint = //p' "$WORK/config")? is this machine's clock right?"
    fi
    sleep 1
  done
  if has ping && [ "$answers" = no ] && ! poke; then warn "the hub is there, but does not answer ping"; fi
}
