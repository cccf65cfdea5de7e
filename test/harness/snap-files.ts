/** What a snap of Nextcloud consists of besides Nextcloud: short stand-ins for its scripts and settings, by their paths. */
export interface SnapFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/** Debian's PHP instead of one of the snap's own; everything else goes by the snap's own folders. */
export function snapFiles(version: string): SnapFile[] {
  const program = (path: string, text: string): SnapFile => ({ path, text: `#!/bin/sh\n${text}`, mode: 0o755 });
  const settings = (path: string, text: string): SnapFile => ({ path, text, mode: 0o644 });
  return [
    settings('meta/snap.yaml', `name: nextcloud\nversion: ${version}snap1\nbase: core20\n`),
    program('bin/php', 'exec /usr/bin/php "$@"\n'),
    program('bin/run-php', 'PHP_MEMORY_LIMIT=512M\nexport PHP_MEMORY_LIMIT\nexec php -c "$SNAP/config/php" "$@"\n'),
    program('bin/occ', OCC),
    program('bin/setup-nextcloud', SETUP),
    settings('utilities/nextcloud-utilities', UTILITIES),
    settings('config/php/php.ini', PHP_INI),
    settings('config/php/php-fpm.d/www.conf', FPM_POOL),
    settings('config/php/opcache-blacklist', '/var/snap/*\n'),
    // older ones want Redis here, which is not run, and stop on a command line without APCu
    settings(
      'htdocs/config/config.php',
      Number(version.split('.')[0]) >= 32 ? CONFIG : CONFIG.replace(LOCAL_CACHE, ''),
    ),
  ];
}

const UTILITIES = `SNAP_CURRENT="$(realpath -s "$SNAP/../current")"
SNAP_DATA_CURRENT="$(realpath -s "$SNAP_DATA/../current")"
NEXTCLOUD_CONFIG_DIR="$SNAP_DATA/nextcloud/config"
export SNAP_CURRENT SNAP_DATA_CURRENT NEXTCLOUD_CONFIG_DIR
`;

const OCC = `. "$SNAP/utilities/nextcloud-utilities"
if [ "$(id -u)" -ne 0 ]; then
  echo "only root may run this"
  exit 1
fi
wait_for() {
  [ -e "$2" ] && return
  echo "Waiting for $1..."
  until [ -e "$2" ]; do sleep 1; done
  echo "done"
}
wait_for PHP /tmp/sockets/php-fpm.sock
wait_for redis /tmp/sockets/redis.sock
exec run-php "$SNAP/htdocs/occ" "$@"
`;

/** What starts with the services, after each refresh too. */
const SETUP = `. "$SNAP/utilities/nextcloud-utilities"
mkdir -p /tmp/opcache
for folder in "$SNAP_COMMON/nextcloud" "$SNAP_COMMON/nextcloud/tmp" "$SNAP_DATA/nextcloud" \\
  "$SNAP_DATA/nextcloud/extra-apps" "$SNAP_DATA/logs" "$SNAP_DATA/mysql"; do
  mkdir -p "$folder" && chmod 750 "$folder"
done
[ -d "$NEXTCLOUD_CONFIG_DIR" ] || cp -r "$SNAP/htdocs/config" "$NEXTCLOUD_CONFIG_DIR"
grep -q "'installed' => true" "$NEXTCLOUD_CONFIG_DIR/config.php" || exit 0
occ -n upgrade || occ -n maintenance:mode --off
`;

/** As the snap's own in all that matters here; compiled code of the read-only release is kept, which saves half the time. */
const PHP_INI = `[PHP]
user_ini.filename =
short_open_tag = Off
zend.exception_ignore_args = On
zend.exception_string_param_max_len = 0
max_execution_time = 3600
memory_limit = \${PHP_MEMORY_LIMIT}
error_reporting = E_ALL & ~E_DEPRECATED & ~E_STRICT
display_errors = Off
log_errors = On
error_log = \${SNAP_DATA}/logs/php_errors.log
register_argc_argv = Off
session.save_handler = files
session.save_path = ""
session.gc_probability = 1
opcache.enable = 1
opcache.enable_cli = 1
opcache.file_cache = /tmp/opcache
opcache.file_cache_only = 1
opcache.blacklist_filename = \${SNAP}/config/php/opcache-blacklist
`;

const FPM_POOL = `[www]
user = root
group = root
listen = \${PHP_FPM_SOCKET}
pm = ondemand
pm.max_children = 4
clear_env = no
env[NEXTCLOUD_CONFIG_DIR] = \${SNAP_DATA}/nextcloud/config
php_admin_value[upload_tmp_dir] = \${SNAP_COMMON}/nextcloud/tmp
php_value[upload_max_filesize] = 16G
`;

const LOCAL_CACHE = "  'memcache.local' => '\\\\OC\\\\Memcache\\\\APCu',\n";

const CONFIG = `<?php
$code = getenv('SNAP_CURRENT');
$own = getenv('SNAP_DATA_CURRENT');
$CONFIG = array(
  'apps_paths' => array(
    array('path' => $code . '/htdocs/apps', 'url' => '/apps', 'writable' => false),
    array('path' => $own . '/nextcloud/extra-apps', 'url' => '/extra-apps', 'writable' => true),
  ),
${LOCAL_CACHE}  'log_type' => 'file',
  'logfile' => $own . '/logs/nextcloud.log',
  'logfilemode' => 0640,
);
`;
