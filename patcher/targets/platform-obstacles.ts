import { APP_ID, type Facts, type Obstacle } from '../facts.ts';

/** Pure: what a platform's own ways mean for the app. Plesk, ISPConfig, cPanel and Nextcloud VM leave an app of ours alone. */
export function platformObstacles(facts: Facts): Obstacle[] {
  switch (facts.platform) {
    case 'nextcloudpi':
      return [
        {
          code: 'nextcloudpi_updates_refuse',
          message: 'NextcloudPi updates nothing while an app is enabled that the app store does not list',
          hint: 'ncp-update-nc VERSION --allow-incompatible-apps keeps the app; then run "ncpatch apply"',
          blocking: false,
        },
        {
          code: 'nextcloudpi_backups',
          message: `each update leaves a backup with config.php and all private keys in ${facts.dataDirectory}/ncp-update-backups`,
          hint: 'after escrow move those that were made before to another machine',
          blocking: false,
        },
      ];
    case 'yunohost':
      return [
        {
          code: 'yunohost_upgrades',
          message: 'YunoHost replaces the code at each upgrade, several majors in a row, and runs "occ upgrade" itself',
          hint: 'run "ncpatch apply" after "yunohost app upgrade"; its backups before an upgrade hold config.php',
          blocking: false,
        },
      ];
    case 'cloudron':
      return cloudron(facts);
    default:
      return [];
  }
}

/** Its apps run on a read-only file system: only what lies below /app/data can be written, and is kept. */
function cloudron({ appsPaths, app }: Facts): Obstacle[] {
  const usable = appsPaths.filter(({ path, writable }) => writable && path.startsWith('/app/data/'));
  if (usable.length > 0 || app.files?.path.startsWith('/app/data/') === true) return [];
  return [
    {
      code: 'cloudron_read_only',
      message: 'Cloudron keeps the code of its apps read-only, and no apps path of this one lies below /app/data',
      hint: `add { "path": "/app/data/apps", "url": "/extra-apps", "writable": true } to "apps_paths" if this package serves it, for ${APP_ID} to go there; else ask the package's maintainer`,
      blocking: true,
    },
  ];
}
