# Talking to the hub without a JSON parser. Secrets go in the body of a request, which is a file nobody else may read.
FETCH=''
HUB_STATUS=000
HUB_TOLD=no
HUB_PATIENCE=60

# choose_fetcher: FETCH is what can reach the hub from here without trusting anybody for it. wget knows no pins, and busybox' checks no certificate.
choose_fetcher() {
  if has curl; then
    FETCH=curl
  elif [ -z "$HUB_PIN" ] && has wget && wget_fits; then
    FETCH=wget
  else
    return 1
  fi
}

wget_fits() {
  case $(wget --version 2>/dev/null) in
    'GNU Wget'*) return 0 ;;
  esac
  case $HUB_URL in
    http://*) wget --help 2>&1 | grep -q -e --post-file ;;
    *) return 1 ;;
  esac
}

# hub_post PATH: posts $WORK/body. The answer's body is $WORK/answer, its status HUB_STATUS, or 000 when there was none. HUB_TOLD is "no" when
# it is sure that the hub has not seen anything of it.
hub_post() {
  printf '[#] POST %s%s\n' "$HUB_URL" "$1" >&2
  rm -f "$WORK/answer" "$WORK/headers"
  code=0
  if [ "$FETCH" = curl ]; then
    set -- "$HUB_URL$1"
    if [ -n "$HUB_PIN" ]; then set -- --insecure --pinnedpubkey "$HUB_PIN" "$@"; fi
    HUB_STATUS=$(curl -q -sS --max-time "$HUB_PATIENCE" --max-filesize 1000000 -o "$WORK/answer" -w '%{http_code}' \
      -H 'Content-Type: application/json' -H 'Accept: text/plain' --data-binary "@$WORK/body" "$@") || code=$?
    # no such host, no connection, no TLS, another certificate or key
    case $code in 5 | 6 | 7 | 35 | 60 | 90) HUB_TOLD=no ;; *) HUB_TOLD=yes ;; esac
  else
    set -- "$HUB_URL$1"
    case $(wget --version 2>/dev/null) in
      'GNU Wget'*) set -- --no-config -t 1 --max-redirect=0 --content-on-error "$@" ;;
    esac
    with_deadline wget -q -S -O "$WORK/answer" --post-file "$WORK/body" \
      --header 'Content-Type: application/json' --header 'Accept: text/plain' "$@" 2>"$WORK/headers"
    HUB_TOLD=yes
    HUB_STATUS=$(sed -n 's|.*HTTP/[0-9.]* *\([0-9][0-9][0-9]\).*|\1|p' "$WORK/headers" | tail -n 1)
  fi
  if [ ! -e "$WORK/answer" ]; then : >"$WORK/answer"; fi
  case $HUB_STATUS in
    [1-5][0-9][0-9]) ;;
    *) HUB_STATUS=000 ;;
  esac
}

with_deadline() {
  if has timeout; then set -- timeout "$HUB_PATIENCE" "$@"; fi
  "$@"
}

# json_text TEXT: inside the quotes of a JSON string.
json_text() { printf '%s' "$1" | tr -d '\000-\037' | sed 's/["\\]/\\&/g'; }

# answer_member NAME: the text of that member of a JSON answer, without what could move a terminal.
answer_member() {
  tr -cd ' -~' <"$WORK/answer" | sed -nE 's/.*"'"$1"'" *: *"(([^"\\]|\\.)*)".*/\1/p' |
    sed 's/\\\(["\\/]\)/\1/g' | cut -c 1-400
}

# hub_refused WHAT: ends the run with the hub's own words, where it had some.
hub_refused() {
  words=$(answer_member error)
  next=$(answer_member recoveryHint)
  case $HUB_STATUS in
    000) die "$1: no answer from $HUB_URL" "is the hub reachable from here?" ;;
    [23]*) die "$1: what answers at $HUB_URL ($HUB_STATUS) is not the hub" "something in between may have answered in its place" ;;
  esac
  die "$1: ${words:-the hub answered $HUB_STATUS}" "${next:-look at the log of the hub, and make a new token there}"
}
