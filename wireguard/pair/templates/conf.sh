# The configuration of this end. The private key is made here and stays here: in a draft until both ends are connected, and in CONF, which is
# what wg-quick reads.
OTHER_NAME='another name is taken by: "wireguard": {"interface": "NAME"}'
KEPT=''
PUBLIC_KEY=''

header() { printf '# pair %s, by Latchkey' "$NETWORK"; }

# of_pair FILE [LINE]: was this file made for this pair?
of_pair() {
  if [ -L "$1" ] || [ ! -f "$1" ]; then return 1; fi
  sed -n "${2:-1}p" "$1" | grep -qxF -e "$(header)"
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

# find_key: KEPT is the file that has the private key, if there is one.
find_key() {
  DRAFT=${CONF%.conf}.draft
  GUARD=${CONF%.conf}.nft
  KEPT=''
  if of_pair "$CONF"; then
    KEPT=$CONF
  elif of_pair "$DRAFT"; then
    KEPT=$DRAFT
  fi
  PUBLIC_KEY=''
  if [ -n "$KEPT" ] && has wg; then
    PUBLIC_KEY=$(sed -n 's/^PrivateKey = //p' "$KEPT" | wg pubkey 2>/dev/null) || PUBLIC_KEY=''
  fi
}

# noted WHAT: what the configuration says of itself, a line each.
noted() { if [ -n "$KEPT" ]; then sed -n "s/^# $1: //p" "$KEPT"; fi; }

note() { if [ -n "$2" ]; then printf '%s\n' "$2" | sed "s/^/# $1: /"; fi; }

# head_of_conf: all that a draft has.
head_of_conf() {
  header
  printf '\n'
  note 'installed for it' "$PACKAGES"
  note 'made for it' "$MADE"
  note 'opened for it' "$OPENED"
}

# settings PEER: everything but the private key. An empty PEER stands for any.
settings() {
  printf 'Address = %s\n' "$ADDRESS"
  if [ -n "$LISTEN" ]; then printf 'ListenPort = %s\n' "$LISTEN"; fi
  guard_lines
  printf '\n[Peer]\n'
  if [ -n "$1" ]; then printf 'PublicKey = %s\n' "$1"; fi
  printf 'AllowedIPs = %s/32\n' "$OTHER"
  if [ -n "$ENDPOINT" ]; then printf 'Endpoint = %s\n' "$ENDPOINT"; fi
  if [ -n "$KEEPALIVE" ]; then printf 'PersistentKeepalive = %s\n' "$KEEPALIVE"; fi
}

wanted_conf() {
  head_of_conf
  printf '[Interface]\n'
  grep '^PrivateKey = ' "$KEPT" || return 1
  settings "$1"
}

settings_are_as_agreed() {
  [ "$(sed -e '/^#/d' -e '/^\[Interface\]$/d' -e '/^PrivateKey = /d' -e '/^PublicKey = /d' "$CONF")" = "$(settings '')" ]
}

peer_key() { if of_pair "$CONF"; then sed -n 's/^PublicKey = //p' "$CONF"; fi; }

# Has the interface the key of this end? Another's is never touched.
interface_is_ours() { [ -n "$PUBLIC_KEY" ] && [ "$(wg show "$LIVE" public-key 2>/dev/null)" = "$PUBLIC_KEY" ]; }

# One that has no key yet is ours where the configuration is: it is being started.
interface_is_foreign() {
  if ! interface_there || interface_is_ours; then return 1; fi
  [ "$(wg show "$LIVE" public-key 2>/dev/null)" != '(none)' ] || ! of_pair "$CONF"
}

# put_file PATH MODE: stdin, all or nothing, in a folder that is root's. Nobody else may read it meanwhile, as begin says.
put_file() {
  rm -f "$1.new"
  if ! cat >"$1.new" || ! chmod "$2" "$1.new" || ! chown 0:0 "$1.new" || ! on_disk "$1.new" || ! mv -f "$1.new" "$1"; then
    rm -f "$1.new"
    return 1
  fi
}

# A machine that loses its power would have an empty file else. Not every sync takes a name.
on_disk() { ! has sync || sync "$1" 2>/dev/null || sync; }

# make_folder PATH MODE: MADE has those that were not there.
make_folder() {
  if [ -d "$1" ]; then return 0; fi
  arm undo_folder "$1"
  cmd mkdir -p "$1" || return 1
  cmd chmod "$2" "$1" || return 1
  MADE=$(printf '%s\n%s' "$MADE" "$1" | sed '/^$/d')
}

undo_folder() { [ ! -d "$1" ] || rmdir "$1"; }

# check_place: refuses where something has the name that is not of this pair.
check_place() {
  for path in "$CONF" "$DRAFT" "$GUARD"; do
    if is_there "$path" && ! of_pair "$path"; then
      refuse conf_foreign "$path is there already, and is not of this pair" "$OTHER_NAME"
    fi
  done
  if is_there "$KEEPER" && ! of_pair "$KEEPER" 2; then
    refuse conf_foreign "$KEEPER is there already, and is not of this pair" "$OTHER_NAME"
  fi
  check_platform
  if interface_is_foreign; then
    refuse interface_foreign "there is an interface $TUNNEL already, and it is not of this pair" "$OTHER_NAME"
  fi
}
