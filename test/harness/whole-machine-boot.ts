/** What commands of a machine find programs by. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Folders of this system that a machine has empty ones in place of: what people and other projects have put there. */
export const REPLACED = [
  ...['/root', '/home', '/srv', '/opt', '/mnt', '/media', '/work', '/check', '/usr/local'],
  ...[
    '/etc/systemd/system',
    '/etc/wireguard',
    '/etc/latchkey',
    '/etc/cron.d',
    '/etc/init.d',
    '/etc/nginx/sites-enabled',
  ],
  ...['/etc/nginx/conf.d', '/etc/ssh/sshd_config.d', '/var/spool/cron', '/var/log/journal'],
  '/var/lib/systemd',
];

/** What of Latchkey this system may have, and no new machine. */
export const ABSENT = ['/etc/latchkey', '/var/lib/latchkey'];

/** Units of this system that a machine without a console, a clock and a kernel of its own does without. */
const MASKED = [
  ...['getty.target', 'console-getty.service', 'systemd-udevd.service', 'systemd-udev-trigger.service'],
  ...[
    'systemd-timesyncd.service',
    'systemd-random-seed.service',
    'systemd-sysctl.service',
    'systemd-modules-load.service',
  ],
  ...['systemd-update-utmp.service', 'systemd-remount-fs.service', 'apt-daily.timer', 'e2scrub_reap.service'],
];

/**
 * The first process of a machine until it becomes its systemd. Arguments: folder of the disk, control group, name, folders to be
 * replaced and to be taken away, then pairs of where a layer is seen and what it lies over.
 */
export const BOOT = `
set -e
disk=$1 group=$2 name=$3 replaced=$4 absent=$5
shift 5
root=$disk/root
echo 0 >"$group/cgroup.procs"
for path in $replaced $absent; do
  # a folder made where one of the layer below was taken away has nothing of it
  [ -e "$disk/changed$path" ] || [ ! -d "$path" ] || { mkdir -p "$disk/changed\${path%/*}"; mknod "$disk/changed$path" c 0 0; }
done
mount -t overlay -o "lowerdir=/,upperdir=$disk/changed,workdir=$disk/work" machine "$root"
for path in $replaced; do [ -d "$root$path" ] || mkdir -p "$root$path"; done
chmod 700 "$root/root" "$root/etc/wireguard"
mkdir -p "$root/usr/local/bin" "$root/usr/local/sbin" "$root/usr/local/lib" "$root/usr/local/share"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs tmp "$root/tmp"
for path in proc sys; do mount -t $path$([ $path = proc ] || echo fs) $path "$root/$path"; done
# the kernel is not the machine's alone, but its network is
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount -o remount,bind,ro "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/net" "$root/dev/shm" "$root/dev/pts"
for device in null zero full random urandom tty net/tun; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "fd/\${stream%:*}" "$root/dev/\${stream#*:}"; done
layer=0
while [ $# -gt 0 ]; do
  layer=$((layer + 1))
  own=$disk/layers/$layer
  mkdir -p "$root$1" "$own/changed" "$own/work"
  mount -t overlay -o "metacopy=on,lowerdir=$2,upperdir=$own/changed,workdir=$own/work" layer "$root$1"
  shift 2
done
hostname "$name"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
for unit in MASKED; do
  [ -L "$root/etc/systemd/system/$unit" ] || ln -s /dev/null "$root/etc/systemd/system/$unit"
done
echo mounted
until [ -e "$disk/go" ]; do sleep 0.02; done
# seen from the root of its own tree only
exec unshare --cgroup bash -ec '
mount -t cgroup2 cgroup "$0/sys/fs/cgroup"
cd "$0"
mkdir run/outside
pivot_root . run/outside
umount -l run/outside
rmdir run/outside
init=/lib/systemd/systemd
exec env -i container=latchkey PATH="$1" "$init" --system --unit=multi-user.target --show-status=0
' "$root" "PATHS"
`
  .replace('MASKED', MASKED.join(' '))
  .replace('PATHS', PATH);
