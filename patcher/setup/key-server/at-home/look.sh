# What `look` tells; it changes nothing.

# address_in_hex A.B.C.D: as /proc/net/tcp has it.
address_in_hex() {
  set -f
  # shellcheck disable=SC2046 # four numbers
  set -- $(printf '%s' "$1" | tr . ' ')
  set +f
  printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1"
}

# is_taken HOST PORT: something listens there, or on every address.
is_taken() {
  if [ "$PLATFORM" = macos ]; then
    netstat -an -p tcp | awk -v here="$1.$2" -v all="*.$2" '$6 == "LISTEN" && ($4 == here || $4 == all) { found = 1 } END { exit !found }'
    return
  fi
  port=$(printf '%04X' "$2")
  case $1 in
    *:*) address=- ;;
    *) address=$(address_in_hex "$1") ;;
  esac
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v here="$address:$port" -v port=":$port" '$4 == "0A" && ($2 == here || $2 ~ "^0+" port "$") { found = 1 } END { exit !found }'
}

# starts PROGRAM…: the account, or else one that may do as little, can run it. Where there is a key server it will be asked anyway.
starts() {
  if account_there && is_server "$DATA"; then
    return 0
  elif account_there; then
    as_account "$@" --version
  elif id nobody >/dev/null 2>&1; then
    as_user nobody "$@" --version
  fi
}

look() {
  host=$1
  port=$2
  shift 2
  echo "account $(yes_or_no account_there)"
  echo "accountOurs $(yes_or_no account_is_ours)"
  echo "data $(data_state)"
  echo "keyfile $(yes_or_no there "$KEYFILE")"
  echo "manager $(manager)"
  echo "enabled $(yes_or_no is_enabled)"
  echo "active $(yes_or_no is_active)"
  echo "taken $(yes_or_no is_taken "$host" "$port")"
  echo "starts $(yes_or_no starts "$@")"
  file=$(service_file)
  if [ -f "$file" ]; then
    echo 'service yes'
    cat "$file"
  else
    echo 'service no'
  fi
}
