import type { Instance } from './target.ts';

/** Systems that bring their own ways to install and update Nextcloud, by a file that only they have. */
const SIGNS: readonly (readonly [file: string, platform: string])[] = [
  ['/usr/local/etc/ncp-version', 'nextcloudpi'],
  ['/usr/local/etc/ncp.cfg', 'nextcloudpi'],
  ['/usr/local/bin/ncc', 'nextcloudpi'],
  ['/etc/yunohost', 'yunohost'],
  ['/run/cloudron', 'cloudron'],
  ['/app/pkg/start.sh', 'cloudron'],
  ['/usr/local/psa/version', 'plesk'],
  ['/usr/local/ispconfig/server', 'ispconfig'],
  ['/usr/local/cpanel/version', 'cpanel'],
  ['/var/scripts/fetch_lib.sh', 'nextcloud-vm'],
];

const THERE = 'for path do [ ! -e "$path" ] || printf "%s\\n" "$path"; done';

/** Which of them an instance is on; `null` for none. What is inside of a container is what counts. */
export async function readPlatform(instance: Pick<Instance, 'files' | 'root'>): Promise<string | null> {
  const found = await instance.files.run(['sh', '-c', THERE, 'sh', ...SIGNS.map(([file]) => file)]);
  return platformOf(instance.root, found.stdout.toString('utf8').split('\n'));
}

/** Pure: the platform by the root of Nextcloud and those of the files that are there. */
export function platformOf(root: string, files: readonly string[]): string | null {
  if (root === '/app/code') return 'cloudron'; // where its packages have their code, all of them
  return SIGNS.find(([file]) => files.includes(file))?.[1] ?? null;
}

/** Reads well to people; the rest are plain web servers with files, and named for the record. */
export function platformName(platform: string): string {
  return NAMES[platform] ?? platform;
}

const NAMES: Readonly<Record<string, string>> = {
  nextcloudpi: 'NextcloudPi',
  yunohost: 'YunoHost',
  cloudron: 'Cloudron',
  plesk: 'Plesk',
  ispconfig: 'ISPConfig',
  cpanel: 'cPanel',
  'nextcloud-vm': 'Nextcloud VM',
};
