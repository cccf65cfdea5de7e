# Firewalls that are asked by a program: what this end needs is let in, and kept track of in the configuration, so that just that is taken
# away again. One opening is a line of words: `ufw udp 51820`, `firewalld tcp 8443 public`.

firewall_here() {
  if has ufw && ufw status 2>/dev/null | grep -q '^Status: active'; then
    echo ufw
  elif has firewall-cmd && firewall-cmd --state >/dev/null 2>&1; then
    echo firewalld
  fi
}

# needed_openings: in OPENED, besides what it has already, what must be let in and is not.
needed_openings() {
  case $(firewall_here) in
    ufw)
      if [ -n "$LISTEN" ]; then need_opening ufw udp "$LISTEN"; fi
      if [ -n "$SERVES" ]; then need_opening ufw tcp "$SERVES"; fi
      ;;
    firewalld)
      device=$(ip route show default 2>/dev/null | sed -n 's/^default .*dev \([^ ]*\).*/\1/p' | head -n 1)
      zone=$(firewall-cmd --get-zone-of-interface="$device" 2>/dev/null) || zone=$(firewall-cmd --get-default-zone)
      if [ -n "$LISTEN" ]; then need_opening firewalld udp "$LISTEN" "$zone"; fi
      if [ -n "$SERVES" ]; then need_opening firewalld tcp "$SERVES" "$(firewall-cmd --get-default-zone)"; fi
      ;;
  esac
}

need_opening() {
  if printf '%s\n' "$OPENED" | grep -qxF -e "$*"; then return 0; fi
  if is_open "$@"; then return 0; fi
  OPENED=$(printf '%s\n%s' "$OPENED" "$*" | sed '/^$/d')
}

# ufw_words udp|tcp PORT: in the words that ufw shows them by, too.
ufw_words() {
  case $1 in
    udp) printf 'allow %s/udp' "$2" ;;
    tcp) printf 'allow in on %s from %s to any port %s proto tcp' "$TUNNEL" "$OTHER" "$2" ;;
  esac
}

firewalld_word() {
  case $1 in
    udp) printf '%s-port=%s/udp' "$3" "$2" ;;
    tcp)
      printf '%s-rich-rule=rule family="ipv4" source address="%s" port port="%s" protocol="tcp" accept' "$3" "$OTHER" "$2"
      ;;
  esac
}

is_open() {
  case $1 in
    ufw) ufw show added | grep -qE -e "^ufw $(ufw_words "$2" "$3")( |\$)" ;;
    firewalld)
      firewall-cmd -q --zone="$4" "$(firewalld_word "$2" "$3" --query)" &&
        firewall-cmd -q --permanent --zone="$4" "$(firewalld_word "$2" "$3" --query)"
      ;;
  esac
}

open_one() {
  # shellcheck disable=SC2046 # they are words
  case $1 in
    ufw) cmd ufw $(ufw_words "$2" "$3") ;;
    firewalld)
      cmd firewall-cmd -q --permanent --zone="$4" "$(firewalld_word "$2" "$3" --add)" &&
        cmd firewall-cmd -q --zone="$4" "$(firewalld_word "$2" "$3" --add)"
      ;;
  esac
}

# What is gone already is as good as closed.
close_one() {
  if ! is_open "$@"; then return 0; fi
  # shellcheck disable=SC2046 # they are words
  case $1 in
    ufw) cmd ufw delete $(ufw_words "$2" "$3") ;;
    firewalld)
      cmd firewall-cmd -q --permanent --zone="$4" "$(firewalld_word "$2" "$3" --remove)"
      cmd firewall-cmd -q --zone="$4" "$(firewalld_word "$2" "$3" --remove)"
      ;;
  esac
}

# open_all: everything in OPENED that is not open.
open_all() {
  while read -r kind protocol port zone; do
    if [ -z "$kind" ] || is_open "$kind" "$protocol" "$port" "$zone"; then continue; fi
    arm close_one "$kind" "$protocol" "$port" "$zone"
    open_one "$kind" "$protocol" "$port" "$zone" >/dev/null || die "the firewall does not let $protocol $port in" "its own words are above"
  done <<OPENINGS
$OPENED
OPENINGS
}

# close_all: as the configuration has it.
close_all() {
  closed=yes
  while read -r kind protocol port zone; do
    if [ -z "$kind" ]; then continue; fi
    close_one "$kind" "$protocol" "$port" "$zone" >/dev/null || closed=no
  done <<OPENINGS
$(noted 'opened for it')
OPENINGS
  [ "$closed" = yes ]
}
