#!/bin/sh
# shellcheck disable=SC2034 # not every platform needs each value
# Makes a node of Proxmox VE a spoke of a WireGuard hub. Made by Latchkey for one node; what is in it is good for one registration.

# @@values@@

# @@part any-linux@@

# @@part proxmox-facts@@

# @@part proxmox-node@@

# @@part proxmox-cluster@@

main() {
  read_options "$@"
  start_on_linux "Proxmox VE" "run it as root"
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
