import { describe, expect, it } from 'vitest';
import { parseSettings } from '../../patcher/audit/settings-look.ts';

describe('parseSettings()', () => {
  const output = (settings: string, lines = ''): string =>
    `./config.php\0${settings}\n\0${lines}\0${'a'.repeat(128)}  -\n\0`;

  it('reads paths as they are written, and counts those it cannot', () => {
    const look = parseSettings(
      output(
        [
          "'path' => '/srv/apps'",
          `"path" => OC::$SERVERROOT . '/custom_apps'`,
          "'path' => __DIR__ . '/../more' )",
          "'path' => getenv('APPS')",
          "'datadirectory' => '/srv/it\\'s data'",
          "'version' => '33.0.1.2'",
          "'instanceid' => 'oc1234567890'",
          "'path' => 'bucket'",
        ].join('\n'),
        '3\n17\n',
      ),
      '/nc/config',
      '/nc',
    );
    expect(look).toEqual({
      paths: ['/srv/apps', '/nc/custom_apps', '/nc/more'],
      dataDirectories: ["/srv/it's data"],
      instanceId: 'oc1234567890',
      version: '33.0.1.2',
      unreadable: 1,
      code: new Map([['config.php', { lines: [3, 17], hash: 'a'.repeat(128) }]]),
    });
  });
});
