# The node that this runs on: what it is, and whether a tunnel can be made here. Nothing below /etc/pve is ever written, so that a
# cluster without quorum is no obstacle.
PVE_VERSION=''
PVE_NODE=''
PVE_CLUSTER=''
PVE_QUORUM=''

# "lxc" in a guest of Proxmox VE that is a container.
container_kind() {
  if [ -r /run/systemd/container ]; then
    head -c 64 /run/systemd/container
  else
    { tr '\000' '\n' </proc/1/environ; } 2>/dev/null | sed -n 's/^container=//p'
  fi
}

is_lxc() {
  case $(container_kind) in
    lxc*) return 0 ;;
    *) return 1 ;;
  esac
}

refuse_guest() {
  printf 'error: %s\n' "this is an LXC guest without /dev/net/tun, so that no tunnel can be made here" >&2
  cat >&2 <<'LINES'
hint: on its host, add this to /etc/pve/lxc/ID.conf, with the guest's number for ID, and start the guest anew:
  Proxmox VE 8.2 and newer:
    dev0: /dev/net/tun
  older releases:
    lxc.cgroup2.devices.allow: c 10:200 rwm
    lxc.mount.entry: /dev/net/tun dev/net/tun none bind,create=file
LINES
  exit 1
}

pvecm_status() {
  if has timeout; then timeout 10 pvecm status; else pvecm status; fi
}

# Sets PVE_…; the other nodes of the cluster are in $WORK/others, as NAME STATE ADDRESS. Refuses where this script is not for.
read_node() {
  if is_lxc && [ ! -c /dev/net/tun ]; then refuse_guest; fi
  if ! has pveversion; then
    if is_lxc; then
      die "there is no pveversion: this is a guest of Proxmox VE, not one of its nodes" \
        "run this on the node, or have a token made for linux to join with the guest"
    fi
    die "there is no pveversion, so this is not Proxmox VE" "have a token made for linux"
  fi
  PVE_VERSION=$(pveversion 2>/dev/null </dev/null | proxmox_version) ||
    die "pveversion does not print the version of Proxmox VE" "look at what it prints: pveversion"
  PVE_VERSION=${PVE_VERSION#version }
  proxmox_facts /etc/pve /etc/corosync/corosync.conf "$(uname -n)" pvecm_status >"$WORK/facts" ||
    die "this node and its cluster cannot be told from /etc/pve" \
      "does the cluster file system run? systemctl status pve-cluster; cat /etc/pve/.members"
  : >"$WORK/others"
  while read -r word name state address; do
    case $word in
      name) PVE_CLUSTER=$name ;;
      node) PVE_NODE=$name ;;
      quorum) PVE_QUORUM=$name ;;
      member) if [ "$name" != "$PVE_NODE" ]; then printf '%s %s %s\n' "$name" "$state" "$address" >>"$WORK/others"; fi ;;
    esac
  done <"$WORK/facts"
}

describe_node() {
  if [ -z "$PVE_CLUSTER" ]; then
    say "Proxmox VE $PVE_VERSION, node $PVE_NODE, in no cluster"
    return 0
  fi
  say "Proxmox VE $PVE_VERSION, node $PVE_NODE of the cluster $PVE_CLUSTER, other nodes: $(list_others)"
  if [ "$PVE_QUORUM" = no ]; then say "the cluster has no quorum; nothing here needs it"; fi
}

list_others() {
  if [ ! -s "$WORK/others" ]; then
    printf none
    return 0
  fi
  sed -e 's/^\([^ ]*\) down .*/\1 (down)/' -e 's/ .*[^)]$//' "$WORK/others" | tr '\n' ',' | sed -e 's/,$//' -e 's/,/, /g'
}

# What the hub is told beside a key.
node_facts() {
  printf ',"isProxmox":true,"proxmoxNodeName":"%s","proxmoxVersion":"%s"' "$PVE_NODE" "$PVE_VERSION"
  if [ -n "$PVE_CLUSTER" ]; then printf ',"proxmoxClusterName":"%s"' "$PVE_CLUSTER"; fi
}
