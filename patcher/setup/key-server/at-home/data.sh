# What a key server has on disk. Each step says what it has made.

there() { [ -e "$1" ] || [ -L "$1" ]; }

is_server() { [ -f "$1/config.json" ] && [ -f "$1/vault.json" ]; }

is_empty() { [ -d "$1" ] && [ ! -L "$1" ] && [ -z "$(ls -A "$1")" ]; }

data_state() {
  if is_server "$DATA"; then
    echo server
  elif ! there "$DATA" || is_empty "$DATA"; then
    echo none
  else
    echo other
  fi
}

# make_folder FOLDER: with those above it; everybody may pass through, as others of Latchkey may have something there.
make_folder() {
  if [ -d "$1" ]; then return 0; fi
  make_folder "$(dirname "$1")"
  cmd mkdir -m 711 "$1" || die "cannot make $1"
  echo "made folder $1"
}

# may_write FOLDER: the account itself, so that root has nothing to do there.
may_write() { as_account test -w "$1"; }

owner() { printf '%s:%s' "$ACCOUNT" "$(id -gn "$ACCOUNT")"; }

make_keyfile() {
  if there "$KEYFILE"; then return 0; fi
  folder=$(dirname "$KEYFILE")
  make_folder "$folder"
  echo 'made keyfile'
  if may_write "$folder"; then return 0; fi # the key server makes it itself
  as_account test -x "$folder" || die "$ACCOUNT may not look into $folder" "name another file: \"keyServer.keyfile\""
  rm -f "$KEYFILE.being-made"
  {
    (umask 077 && dd if=/dev/urandom of="$KEYFILE.being-made" bs=32 count=1 2>/dev/null) &&
      chown "$(owner)" "$KEYFILE.being-made" && sync && mv "$KEYFILE.being-made" "$KEYFILE"
  } || die "cannot make $KEYFILE"
}

# make_data LISTEN HOSTS PROGRAM…: under another name until it is whole.
make_data() {
  if is_server "$DATA"; then return 0; fi
  listen=$1
  hosts=$2
  shift 2
  folder=$(dirname "$DATA")
  make_folder "$folder"
  new=$DATA.being-made
  rm -rf "$new"
  if is_empty "$DATA"; then rmdir "$DATA" || die "cannot take the empty $DATA away"; fi
  if there "$DATA"; then die "$DATA is there already, and no key server's"; fi
  mover=as_account
  if ! may_write "$folder"; then
    mover=''
    as_account test -x "$folder" || die "$ACCOUNT may not look into $folder" "name another directory: \"keyServer.data\""
    { mkdir -m 700 "$new" && chown "$(owner)" "$new"; } || die "cannot make $new"
  fi
  set -f
  # shellcheck disable=SC2086 # names and addresses have no blanks
  cmd as_account "$@" init --data "$new" --listen "$listen" --host $hosts --keyfile "$KEYFILE" >/dev/null || {
    code=$?
    rm -rf "$new"
    exit "$code"
  }
  set +f
  sync
  cmd $mover mv "$new" "$DATA" || die "cannot move $new to $DATA"
  echo 'made data'
  sync
}

remove() {
  case $1 in
    data)
      case $(data_state) in
        other) die "$DATA is no key server's" ;;
        *) { rm -rf "$DATA.being-made" && cmd rm -rf "$DATA"; } || die "cannot remove $DATA" ;;
      esac
      ;;
    begun) rm -rf "$DATA.being-made" "$KEYFILE.being-made" || die "cannot remove $DATA.being-made" ;;
    keyfile) { rm -f "$KEYFILE.being-made" && cmd rm -f "$KEYFILE"; } || die "cannot remove $KEYFILE" ;;
    folder) if is_empty "$2"; then cmd rmdir "$2" || die "cannot remove $2"; fi ;;
    account) remove_account ;;
  esac
}
