#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# Makes a node of Proxmox VE a spoke of a WireGuard hub. Made by Latchkey for one node; what is in it is good for one registration.

# @@values@@

# @@part say@@

# @@part undo@@

# @@part options@@

# @@part hub@@

# @@part tunnel@@

# @@part packages@@

# @@part kernel@@

# @@part boot@@

# @@part flow@@

# @@part proxmox-facts@@

# @@part proxmox-node@@

# @@part proxmox-cluster@@

main() {
  read_options "$@"
  if [ "$(uname -s)" != Linux ]; then die "this script is for Proxmox VE, and this is $(uname -s)"; fi
  if [ "$(id -u)" != 0 ]; then die "only root can make interfaces" "run it as root"; fi
  begin
  CONF=/etc/wireguard/$TUNNEL.conf
  LIVE=$TUNNEL
  find_init
  if [ "$MODE" = uninstall ]; then
    leave_hub
    exit 0
  fi
  read_node
  describe_node
  check_cluster
  if conf_is_ours; then
    mend
  else
    check_place
    join_hub "Proxmox VE $PVE_VERSION ($(uname -sr | cut -c 1-30))" "$(node_facts)"
  fi
  join_cluster
}

# the last line, so that half a download does nothing
main "$@" </dev/null
