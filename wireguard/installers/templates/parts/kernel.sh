# What carries a tunnel here: the kernel, or wireguard-go where it has no WireGuard (containers, old kernels). wg-quick sees by itself
# which of them to take.

kernel_has_wireguard() {
  if [ -e /sys/module/wireguard ]; then return 0; fi
  if has modprobe && modprobe -n -q wireguard 2>/dev/null; then return 0; fi
  has ip || return 1
  arm undo_probe
  ip link add dev "lk$$" type wireguard 2>/dev/null || return 1
  undo_probe
}

undo_probe() {
  if [ ! -e "/sys/class/net/lk$$" ]; then return 0; fi
  ip link delete dev "lk$$"
}

# needed_packages: in NEEDED, what of tools, ip, a program to fetch with and wireguard-go is missing. Ends the run where no tunnel can be.
needed_packages() {
  NEEDED=''
  if ! has wg || ! has wg-quick; then NEEDED="$NEEDED wireguard-tools"; fi
  if ! has ip; then
    case $1 in
      dnf | yum) NEEDED="$NEEDED iproute" ;;
      *) NEEDED="$NEEDED iproute2" ;;
    esac
  fi
  choose_fetcher || NEEDED="$NEEDED curl"
  if kernel_has_wireguard; then return 0; fi
  if [ ! -c /dev/net/tun ]; then
    die "the kernel has no WireGuard, and there is no /dev/net/tun for wireguard-go" \
      "a container needs that device (LXC on Proxmox: dev0: /dev/net/tun) and the right to make interfaces"
  fi
  say "the kernel has no WireGuard; wireguard-go takes its place"
  has wireguard-go || NEEDED="$NEEDED wireguard-go"
}

install_wireguard() {
  find_manager || :
  needed_packages "$MANAGER"
  if [ -n "$NEEDED" ]; then
    # shellcheck disable=SC2086 # it is a line of names
    install_packages $NEEDED
  fi
  for program in wg wg-quick ip; do
    has "$program" || die "there is no $program, also after installing:$NEEDED"
  done
  choose_fetcher || die "there is no curl, also after installing:$NEEDED"
}
