# --cluster: a token of its own for each other node of the cluster, asked for by this one, and a command for each or its run over
# the cluster's own SSH.
CLUSTER=no
USUAL_TUNNEL=$TUNNEL

own_usage() {
  cat <<USAGE
  --cluster      and prints a command for each other node of the cluster
  --cluster=run  and runs it there, over the SSH that nodes have among them
USAGE
}

own_option() {
  case $1 in
    --cluster) CLUSTER=print ;;
    --cluster=run) CLUSTER=run ;;
    *) return 1 ;;
  esac
}

# Refuses before anything is done what the hub would refuse when this node is done.
check_cluster() {
  if [ "$CLUSTER" = no ]; then return 0; fi
  if [ -z "$PVE_CLUSTER" ]; then die "--cluster: the node $PVE_NODE is in no cluster" "run this without --cluster"; fi
  count=$(wc -l <"$WORK/others" | tr -d ' ')
  if [ "$count" -gt "$MEMBERS" ]; then
    die "--cluster: the cluster has $count other nodes, and this script may invite $MEMBERS" \
      "have a token made with \"clusterMembers\": $count, or run this without --cluster on each node"
  fi
  if [ "$CLUSTER" = run ] && ! has ssh; then die "--cluster=run: there is no ssh here" "--cluster prints the commands"; fi
}

# Asks for the tokens: $WORK/invited has NAME STATE ADDRESS URL SHA256 of each node that has not joined yet.
invite_members() {
  separator=''
  {
    printf '{"token":"%s","members":[' "$(json_text "$TOKEN")"
    while read -r name _; do
      printf '%s"%s"' "$separator" "$name"
      separator=,
    done <"$WORK/others"
    printf ']}\n'
  } >"$WORK/body"
  if [ -z "$FETCH" ]; then choose_fetcher || die "there is no curl"; fi
  hub_post /api/proxmox/members
  if [ "$HUB_STATUS" != 201 ]; then hub_refused "this node has joined, but the others were not invited"; fi
  PLACE="$HUB_URL/api/installation/script/" awk '
    BEGIN { place = ENVIRON["PLACE"] }
    NR == FNR {
      split($0, word, " ")
      facts[word[1]] = $0
      count++
      next
    }
    {
      fields = split($0, word, "\t")
      rest = substr(word[2], length(place) + 1)
      if (fields != 3 || !(word[1] in facts) || substr(word[2], 1, length(place)) != place) exit 1
      if (rest !~ /^[A-Za-z0-9_-]+([?]platform=proxmox)?$/ || length(word[3]) != 64 || word[3] !~ /^[0-9a-f]+$/) exit 1
      print facts[word[1]], word[2], word[3]
      delete facts[word[1]]
      answered++
    }
    END { if (answered != count) exit 1 }
  ' "$WORK/others" "$WORK/answer" >"$WORK/told" ||
    die "this node has joined, but the hub's answer about the others is not what was asked for" \
      "revoke the tokens at the hub, and make one there for each node"
  mv "$WORK/told" "$WORK/invited"
}

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# member_command URL SHA256: for whoever sits at that node.
member_command() {
  fetch='curl -fsSL'
  if [ -n "$HUB_PIN" ]; then fetch="$fetch -k --pinnedpubkey $(quoted "$HUB_PIN")"; fi
  options=''
  if [ "$TUNNEL" != "$USUAL_TUNNEL" ]; then options=" --tunnel $TUNNEL"; fi
  # shellcheck disable=SC2016 # that shell is to expand it
  printf 'f=$(mktemp ~/latchkey.XXXXXXXX) && %s -o "$f" %s && echo "%s  $f" | sha256sum -c --quiet && sh "$f"%s' \
    "$fetch" "$(quoted "$1")" "$2" "$options"
}

# On every way out: the commands of nodes that have not joined, as nobody is told these tokens again.
show_invited() {
  if [ ! -s "$WORK/invited" ]; then return 0; fi
  say "to be run as root on each node; good once, for 24 hours:"
  while read -r name state _ url sum; do
    if [ "$state" = down ]; then state=' (down now)'; else state=''; fi
    printf '\n%s%s:\n  %s\n' "$name" "$state" "$(member_command "$url" "$sum")"
  done <"$WORK/invited"
}

# What a node is sent: it downloads its script itself, since the hub may insist on that, and runs it when its sum is right.
# Exits with 9 when the script is still to be had.
member_script() {
  printf 'URL=%s\nPIN=%s\nSUM=%s\n' "$(quoted "$1")" "$(quoted "$HUB_PIN")" "$2"
  if [ "$TUNNEL" != "$USUAL_TUNNEL" ]; then printf 'TUNNEL=%s\n' "$TUNNEL"; fi
  cat <<'SCRIPT'
fetch() {
  if command -v curl >/dev/null 2>&1; then
    if [ -n "$PIN" ]; then set -- --insecure --pinnedpubkey "$PIN"; fi
    printf 'url = "%s"\n' "$URL" | curl -q -fsS --max-time 60 -o "$script" -K - "$@"
  elif [ -z "$PIN" ] && command -v wget >/dev/null 2>&1; then
    printf '%s\n' "$URL" | wget -q -t 1 -T 60 -O "$script" -i -
  else
    echo 'error: there is no curl here' >&2
    return 1
  fi
}
join() {
  mask=$(umask)
  umask 077
  script=$(mktemp ~/latchkey.XXXXXXXX) || exit 9
  trap 'rm -f "$script"' EXIT
  fetch || exit 9
  echo "$SUM  $script" | sha256sum -c >/dev/null 2>&1 || {
    echo 'error: the script is not the one that the hub has announced' >&2
    exit 8
  }
  umask "$mask"
  if [ -n "${TUNNEL-}" ]; then set -- --tunnel "$TUNNEL"; fi
  sh "$script" "$@" || exit
  trap - EXIT
}
join </dev/null
SCRIPT
}

# member_ssh NAME ADDRESS: as Proxmox VE itself goes to another node: by the name that its host key is known under.
member_ssh() {
  known=/etc/pve/nodes/$1/ssh_known_hosts
  place=$2
  if [ "$place" = - ]; then place=$1; fi
  set -- -o "HostKeyAlias=$1" "root@$place"
  if [ -f "$known" ]; then set -- -o "UserKnownHostsFile=$known" -o GlobalKnownHostsFile=none "$@"; fi
  cmd ssh -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 "$@" sh -s
}

# run_member NAME ADDRESS URL SHA256: 0 joined, 1 failed, 2 not reached as far as is known, so that its command may be as good as before.
run_member() {
  say "joining $1"
  printf '1\n' >"$WORK/status"
  {
    member_script "$3" "$4" | member_ssh "$1" "$2"
    printf '%s\n' $? >"$WORK/status"
  } 2>&1 | sed "s/^/$1: /"
  read -r status <"$WORK/status"
  case $status in
    0) return 0 ;;
    # by a signal, ssh ended before it was known what became of it
    9 | 255 | 129 | 1[34][0-9]) return 2 ;;
    *) return 1 ;;
  esac
}

run_members() {
  cp "$WORK/invited" "$WORK/to-run"
  failed=''
  while read -r name state address url sum; do
    if [ "$state" = down ]; then
      warn "$name is down"
      failed="$failed $name"
      continue
    fi
    status=0
    run_member "$name" "$address" "$url" "$sum" || status=$?
    case $status in
      0) ;;
      1) warn "$name did not join, and its token is spent: make a new one at the hub" ;;
      2) warn "$name was not reached" ;;
    esac
    if [ "$status" != 0 ]; then failed="$failed $name"; fi
    if [ "$status" != 2 ]; then
      grep -v "^$name " "$WORK/invited" >"$WORK/left"
      mv "$WORK/left" "$WORK/invited"
    fi
  done <"$WORK/to-run"
  if [ -n "$failed" ]; then
    warn "this node has joined, but not:$failed"
    return 1
  fi
  say "the whole cluster has joined"
}

# The node itself has joined before; that stays, whatever becomes of the others.
join_cluster() {
  if [ "$CLUSTER" = no ]; then return 0; fi
  if [ ! -s "$WORK/others" ]; then
    say "the cluster has no other nodes"
    return 0
  fi
  trap 'status=$?; show_invited; leave "$status"' EXIT
  invite_members
  if [ "$CLUSTER" = run ]; then run_members; fi
}
