import { quickSettings } from './quick-php.ts';

/** For `occ config:import`: a Nextcloud that no skeleton files, limits or calls to the internet disturb, with APCu. */
export function nextcloudSettings(): Readonly<Record<string, unknown>> {
  return {
    skeletondirectory: '',
    templatedirectory: '',
    'memcache.local': '\\OC\\Memcache\\APCu',
    'overwrite.cli.url': 'http://localhost',
    trusted_domains: ['localhost'],
    has_internet_connection: false,
    loglevel: 2,
    'auth.bruteforce.protection.enabled': false,
    'ratelimit.protection.enabled': false,
    ...quickSettings(),
  };
}
