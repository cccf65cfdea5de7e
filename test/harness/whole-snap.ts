import { basename } from 'node:path';
import type { NextcloudTree } from './nextcloud-tree.ts';
import { SNAP_COMMAND } from './snap-command.ts';
import { snapImage, snapsFolder } from './snap-image.ts';
import { snapObstacle } from './snap-machine.ts';
import { type CloudKind, leadToWeb, WholeCloud } from './whole-cloud.ts';
import type { WholeMachine } from './whole-machine.ts';
import { makeWholePhpQuick } from './whole-nextcloud.ts';

const REVISION = '51000';
const VAR = '/var/snap/nextcloud';
const DATA = `${VAR}/common/nextcloud/data`;
const IMAGES = '/var/lib/snapd/images';
const PRIVATE_TMP = '/tmp/snap-private-tmp/snap.nextcloud/tmp';
const OWN = '/usr/lib/snapd-stand-in';
/** Whatever starts the snap has it look after itself by several programs first. */
const SLOW = { timeoutMs: 300_000 };

/** What snapd and its units do at boot: the squashfs of the revision in use, then what the snap does before its services. */
const BOOT = `#!/bin/sh
set -eu
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
for number in $(seq 0 63); do [ -e /dev/loop$number ] || mknod /dev/loop$number b 7 $number; done
revision=$(readlink ${VAR}/current || echo none)
[ "$revision" != none ] || exit 0
mountpoint -q /snap/nextcloud/$revision || mount -t squashfs -o loop,ro /var/lib/snapd/snaps/nextcloud_$revision.snap /snap/nextcloud/$revision
exec snap start
`;

/** PHP's own server, as root and confined as the snap's FPM is, from the squashfs. */
const WEB = `#!/bin/sh
exec snap run --shell nextcloud.occ -c '. "$SNAP/utilities/nextcloud-utilities"; cd "$SNAP/htdocs"; exec run-php -S 127.0.0.1:80 -t .'
`;

const BOOT_UNIT = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${OWN}/boot
TimeoutStartSec=300
[Install]
WantedBy=multi-user.target
`;

const WEB_UNIT = `[Unit]
Requires=snapd-boot.service
After=snapd-boot.service network.target
[Service]
ExecStart=${OWN}/web
Restart=always
[Install]
WantedBy=multi-user.target
`;

/** The snap of Nextcloud on a machine: a squashfs at its real place, mounted at boot, with a stand-in for snapd. */
export class WholeSnap extends WholeCloud {
  readonly data = DATA;
  readonly wish = {};
  /** Its own configuration is looked at, as it is the one part that may be changed and is to come back. */
  readonly restless = [
    ...[REVISION, 'current'].flatMap((one) => [`${VAR}/${one}/logs`, `${VAR}/${one}/mysql`]),
    ...[DATA, '/var/lib/snapd/stand-in'],
  ];

  static async install(machine: WholeMachine, tree: NextcloudTree): Promise<WholeSnap> {
    const cloud = new WholeSnap(machine);
    machine.write('/usr/bin/snap', SNAP_COMMAND, 0o755);
    machine.write('/var/lib/snapd/stand-in/revisions', `${REVISION} ${tree.version}snap1\n`);
    machine.write(`${OWN}/boot`, BOOT, 0o755);
    machine.write(`${OWN}/web`, WEB, 0o755);
    machine.write('/etc/systemd/system/snapd-boot.service', BOOT_UNIT);
    machine.write('/etc/systemd/system/snap.nextcloud.apache.service', WEB_UNIT);
    const php = (await machine.sh('php -r "echo PHP_CONFIG_FILE_SCAN_DIR;"')).trim();
    makeWholePhpQuick(machine, [php], '/usr/share/quick-php');
    const image = basename(await snapImage(tree));
    await machine.sh(
      `${OWN}/boot; mkdir -p /var/lib/snapd/snaps /var/lib/snapd/snapshots
ln -s ${IMAGES}/${image} /var/lib/snapd/snaps/nextcloud_${REVISION}.snap && snap install ${REVISION}`,
      SLOW,
    );
    await cloud.setUp(DATA);
    // the snap's database belongs to a revision, as its configuration does
    const own = `${VAR}/current/mysql`;
    await machine.sh(
      `mv ${DATA}/owncloud.db ${own}/ && ln -s ${own}/owncloud.db ${DATA}/owncloud.db && snap start`,
      SLOW,
    );
    await leadToWeb(machine, '127.0.0.1:80');
    await machine.sh(
      'systemctl enable snapd-boot.service && systemctl enable --now snap.nextcloud.apache.service',
      SLOW,
    );
    await cloud.serves();
    return cloud;
  }

  async occ(words: readonly string[], input?: string): Promise<string> {
    return this.machine.command(['snap', 'run', 'nextcloud.occ', '--no-ansi', '--no-interaction', ...words], {
      ...SLOW,
      ...(input === undefined ? {} : { input }),
    });
  }

  async cron(): Promise<void> {
    const words = '. "$SNAP/utilities/nextcloud-utilities"; exec run-php "$SNAP/htdocs/cron.php"';
    await this.machine.command(['snap', 'run', '--shell', 'nextcloud.occ', '-c', words], SLOW);
  }

  async dropSessions(): Promise<void> {
    await this.machine.sh(`find ${PRIVATE_TMP} -name 'sess_*' -delete`);
  }

  async forget(): Promise<void> {
    await this.machine.sh(
      'rm -rf /run/latchkey-* /run/snap.nextcloud /dev/shm/latchkey-*; systemctl restart snap.nextcloud.apache.service',
    );
    await this.serves();
  }
}

export const snap: CloudKind = {
  name: 'snap',
  obstacle: snapObstacle,
  layers: async (tree) => {
    await snapImage(tree);
    return [{ at: IMAGES, over: snapsFolder() }];
  },
  install: (machine, tree) => WholeSnap.install(machine, tree),
};
