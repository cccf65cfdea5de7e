/** Where the machine has the stand-in: the program, and what it does as a daemon. */
export const ENGINE = '/usr/lib/docker-stand-in';
export const CONTAINER = 'cloud';
/** Of the container, behind the bridge. */
export const INSIDE = '172.17.0.2';

/** As Docker has it: a bridge with containers behind it, hidden behind the machine's own address wherever they go. */
const RULES = `table ip nat
delete table ip nat
table ip nat {
  chain PREROUTING {
    type nat hook prerouting priority dstnat;
    fib daddr type local tcp dport 80 dnat to ${INSIDE}:80
  }
  chain POSTROUTING {
    type nat hook postrouting priority srcnat;
    ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
  }
}
table ip filter
delete table ip filter
table ip filter {
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    oifname "docker0" ct state established,related accept
    oifname "docker0" ip daddr ${INSIDE} tcp dport 80 accept
    iifname "docker0" accept
  }
}
`;

/** What the daemon does when the machine boots. */
const NETWORK = `#!/bin/sh
set -eu
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f ${ENGINE}/rules.nft
mkdir -p /run/docker
`;

/**
 * Runs a container by its name until its first process ends: namespaces of its own for processes, mounts, names and network, over
 * the machine's programs, which it cannot change. \`root\` in its folder is the container's own layer; what is in no mount of
 * it is kept there until another container takes its place.
 */
const RUN = `#!/bin/sh
set -eu
name=$1 own=/var/lib/docker/containers/$1
ip netns delete "$name" 2>/dev/null || :
ip netns add "$name"
ip link add "veth-$name" type veth peer name eth0 netns "$name"
ip link set "veth-$name" master docker0 up
ip -n "$name" address add ${INSIDE}/16 dev eth0
ip -n "$name" link set lo up
ip -n "$name" link set eth0 up
ip -n "$name" route add default via 172.17.0.1
exec nsenter "--net=/run/netns/$name" unshare --mount --uts --ipc --pid --fork --kill-child sh -eu -c '
name=$1 own=$2
read -r pid rest </proc/self/stat
root=$own/root
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount --bind "$own/local" "$root/usr/local"
mount --bind "$own/src" "$root/usr/src"
while read -r from to; do
  mkdir -p "$root$to"
  mount --bind "$from" "$root$to"
done <"$own/mounts"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/shm"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs shm "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "fd/\${stream%:*}" "$root/dev/\${stream#*:}"; done
hostname "\${name}"
cd "$root"
mkdir -p .old
pivot_root . .old
echo "$pid" >.old/run/docker/"$name".pid
umount -l .old
rmdir .old
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /entrypoint.sh php-fpm
' container "$name" "$own"
`;

const NETWORK_UNIT = `[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${ENGINE}/network
[Install]
WantedBy=multi-user.target
`;

/** As with "--restart unless-stopped". */
const CONTAINER_UNIT = `[Unit]
Requires=docker.service
After=docker.service
[Service]
ExecStart=${ENGINE}/run ${CONTAINER}
Restart=always
[Install]
WantedBy=multi-user.target
`;

export const UNITS: readonly string[] = ['docker.service', `docker-${CONTAINER}.service`];

/** Files of the machine, besides the program `docker` itself. */
export const ENGINE_FILES: readonly { readonly path: string; readonly text: string; readonly mode: number }[] = [
  { path: `${ENGINE}/rules.nft`, text: RULES, mode: 0o644 },
  { path: `${ENGINE}/network`, text: NETWORK, mode: 0o755 },
  { path: `${ENGINE}/run`, text: RUN, mode: 0o755 },
  { path: '/etc/systemd/system/docker.service', text: NETWORK_UNIT, mode: 0o644 },
  { path: `/etc/systemd/system/docker-${CONTAINER}.service`, text: CONTAINER_UNIT, mode: 0o644 },
];
