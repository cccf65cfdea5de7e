# What a machine says of Proxmox VE: its version, its cluster, the nodes of that. All of it is text that somebody else
# wrote: awk alone looks at it, and what it prints is made of fixed words and of names that can be a host's.

# A name is also a word of a command line (ssh root@NAME), so that it may not start with a dash.
PROXMOX_WORDS='
function is_host(text) {
  return length(text) <= 63 && text ~ /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/ && text !~ /[.][.]/
}
function is_address(text) {
  return length(text) <= 45 && text ~ /^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$|^[0-9A-Fa-f]*:[0-9A-Fa-f:.]*[0-9A-Fa-f]$/
}
function refuse() {
  refused = 1
  exit 1
}
function weigh(line) {
  size += length(line) + 1
  if (size > 65536 || length(line) > 8192 || line ~ /[\001-\010\013-\037\177]/) refuse()
}
'

# The same rule for what the shell has in hand.
proxmox_is_host() {
  case $1 in
    '' | *[!A-Za-z0-9.-]* | [.-]* | *[.-] | *..*) return 1 ;;
  esac
  [ "${#1}" -le 63 ]
}

# Standard input, 64 KiB and a byte of it at the most, with no byte that an awk stumbles over.
proxmox_text() {
  head -c 65537 2>/dev/null | LC_ALL=C tr '\000\r' '\001 '
}

# The output of "pveversion" in, "version 9.1.6" out; releases before 8 have a "-17" behind it.
proxmox_version() {
  proxmox_text | LC_ALL=C awk "$PROXMOX_WORDS"'
    { weigh($0) }
    /^pve-manager\// && version == "" {
      split($0, part, "/")
      if (length(part[2]) > 32 || part[2] !~ /^[0-9]+([.][0-9]+)+(-[0-9]+)?$/) refuse()
      version = part[2]
    }
    END {
      if (refused || version == "") exit 1
      print "version " version
    }
  '
}

# /etc/pve/.members in, facts out:
#   kind cluster|standalone
#   name CLUSTER
#   node NAME                                     (this one)
#   quorum yes|no|unknown
#   member NAME up|down|unknown ADDRESS|-         (each, this one among them)
# Only what the cluster file system writes is taken: objects, numbers, strings without escapes.
proxmox_members() {
  proxmox_text | LC_ALL=C awk "$PROXMOX_WORDS"'
    function value(path, depth,    kind, key) {
      if (depth > 4 || at > count) refuse()
      kind = token[at++]
      if (kind ~ /^["0-9tfn-]/) {
        found[path] = kind
        return
      }
      if (kind != "{") refuse()
      found[path] = "{"
      if (token[at] == "}") {
        at++
        return
      }
      do {
        key = token[at++]
        if (key !~ /^"/ || token[at++] != ":") refuse()
        key = substr(key, 2, length(key) - 2)
        if ((path SUBSEP key) in found) refuse()
        if (path == (SUBSEP "nodelist")) names[++nodes] = key
        value(path SUBSEP key, depth + 1)
        kind = token[at++]
      } while (kind == ",")
      if (kind != "}") refuse()
    }
    function host(path,    text) {
      text = found[path]
      if (text !~ /^".*"$/) refuse()
      text = substr(text, 2, length(text) - 2)
      if (!is_host(text)) refuse()
      return text
    }
    function state(text, one, zero) {
      return text == "1" ? one : text == "0" ? zero : "unknown"
    }
    {
      weigh($0)
      rest = $0
      while (sub(/^[ \t]+/, "", rest) || rest != "") {
        if (rest == "") break
        if (!match(rest, /^("[^"\\]*"|[{}:,]|-?[0-9]+([.][0-9]+)?|true|false|null)/)) refuse()
        token[++count] = substr(rest, 1, RLENGTH)
        rest = substr(rest, RLENGTH + 1)
      }
    }
    END {
      if (refused) exit 1
      at = 1
      value("", 0)
      if (at != count + 1 || found[""] != "{") exit 1
      node = host(SUBSEP "nodename")
      if (!((SUBSEP "cluster") in found)) {
        if ((SUBSEP "nodelist") in found) exit 1
        print "kind standalone\nnode " node
        exit 0
      }
      name = host(SUBSEP "cluster" SUBSEP "name")
      told = found[SUBSEP "cluster" SUBSEP "nodes"]
      if (nodes == 0 || (told != "" && told != nodes)) exit 1
      out = "kind cluster\nname " name "\nnode " node "\nquorum " state(found[SUBSEP "cluster" SUBSEP "quorate"], "yes", "no")
      for (i = 1; i <= nodes; i++) {
        path = SUBSEP "nodelist" SUBSEP names[i]
        if (!is_host(names[i]) || found[path] != "{") exit 1
        if (names[i] == node) listed = 1
        address = found[path SUBSEP "ip"]
        gsub(/"/, "", address)
        if (!is_address(address)) address = "-"
        out = out "\nmember " names[i] " " state(found[path SUBSEP "online"], "up", "down") " " address
      }
      if (!listed) exit 1
      print out
    }
  '
}

# corosync.conf in; as proxmox_members, without what it does not know: "node", "quorum" and who is up. Sections that are
# of no interest here may hold anything; the host of a QDevice is in one of them.
proxmox_corosync() {
  proxmox_text | LC_ALL=C awk "$PROXMOX_WORDS"'
    function once(text, before) {
      if (before != "" || !is_host(text)) refuse()
      return text
    }
    {
      weigh($0)
      gsub(/^[ \t]+|[ \t]+$/, "")
    }
    /^(#|$)/ { next }
    /^[a-z_]+[ \t]*[{]$/ {
      sub(/[ \t]*[{]$/, "")
      if (++depth > 4) refuse()
      path = path "/" $0
      if (path == "/nodelist/node") own = ""
      next
    }
    /^[}]$/ {
      if (--depth < 0 || (path == "/nodelist/node" && own == "")) refuse()
      sub(/\/[a-z_]+$/, "", path)
      next
    }
    !/^[a-z0-9_]+[ \t]*:/ { refuse() }
    path == "/nodelist/node" && /^name[ \t]*:/ {
      sub(/^name[ \t]*:[ \t]*/, "")
      own = once($0, own)
      if (own in seen) refuse()
      seen[own] = 1
      out = out "\nmember " own " unknown -"
    }
    path == "/totem" && /^cluster_name[ \t]*:/ {
      sub(/^cluster_name[ \t]*:[ \t]*/, "")
      name = once($0, name)
    }
    END {
      if (refused || depth != 0 || name == "" || out == "") exit 1
      print "kind cluster\nname " name out
    }
  '
}

# The output of "pvecm status" in, "quorum yes|no|unknown" out. Its list of members leaves out nodes that are down and has
# rows that are no nodes, so that nothing else is taken from it.
proxmox_quorum() {
  proxmox_text | LC_ALL=C awk "$PROXMOX_WORDS"'
    { weigh($0) }
    /^Quorate:[ \t]+(Yes|No)[ \t]*$/ { answer = answer ($2 == "Yes" ? "yes" : "no") }
    END {
      if (refused || (answer != "yes" && answer != "no")) answer = "unknown"
      print "quorum " answer
      exit 0
    }
  '
}

# Everything together: the folder of the cluster file system (/etc/pve), the copy of corosync.conf that each node keeps
# outside of it, the name of this machine, and a command that prints what "pvecm status" does. Facts as of proxmox_members,
# all of them; or status 1 and nothing.
proxmox_facts() (
  LC_ALL=C && export LC_ALL
  pve=$1 copy=$2 node=${3%%.*}
  shift 3
  members='' broken=no
  if [ -e "$pve/.members" ] && [ -n "$(proxmox_text <"$pve/.members" | LC_ALL=C tr -d ' \t\n')" ]; then
    members=$(proxmox_members <"$pve/.members") || broken=yes
  fi
  case $members in
    'kind cluster'*)
      case $members in
        *'
quorum unknown'*) ;;
        *) printf '%s\n' "$members" && exit ;;
      esac
      quorum=$("$@" 2>/dev/null </dev/null | proxmox_quorum)
      printf '%s\n' "$members" | sed "s/^quorum .*/$quorum/"
      exit
      ;;
    'kind standalone'*) node=${members##*node } ;;
  esac
  proxmox_is_host "$node" || exit 1
  for file in "$pve/corosync.conf" "$copy"; do
    [ -e "$file" ] || continue
    nodes=$(proxmox_corosync <"$file") || exit 1
    printf '%s\n' "$nodes" | grep -qxF "member $node unknown -" || exit 1
    quorum=$("$@" 2>/dev/null </dev/null | proxmox_quorum)
    printf '%s\n' "$nodes" | sed "/^name /{
p
s/.*/node $node/p
s/.*/$quorum/
}"
    exit
  done
  [ "$broken" = no ] || exit 1
  printf 'kind standalone\nnode %s\n' "$node"
)
