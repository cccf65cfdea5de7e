import { expect, test } from 'vitest';
import { timerFilesFor, timerPaths } from '../../patcher/heartbeat-timer.ts';

const PLAN = {
  instanceId: 'oc1',
  user: 'www-data',
  php: '/usr/bin/php8.2',
  script: "/srv/it's 100% $mine/bin/heartbeat.php",
  stateFolder: '/var/lib/latchkey/oc1',
};

test('the cron line quotes for the shell and for cron', () => {
  const [text] = Object.values(timerFilesFor('cron', PLAN));
  expect(text).toContain(
    `* * * * * www-data /usr/bin/php8.2 '/srv/it'\\''s 100\\% $mine/bin/heartbeat.php' --dir=/var/lib/latchkey/oc1 >/dev/null`,
  );
});

test('the unit quotes for systemd', () => {
  const text = timerFilesFor('systemd', PLAN)['/etc/systemd/system/latchkey-heartbeat-oc1.service'];
  expect(text).toContain(
    `ExecStart=/usr/bin/php8.2 "/srv/it's 100%% $$mine/bin/heartbeat.php" --dir=/var/lib/latchkey/oc1\n`,
  );
});

test('a line break in a path is refused', () => {
  expect(() => timerFilesFor('cron', { ...PLAN, script: '/a\n* * * * * root id' })).toThrow(TypeError);
});

test('nothing is written where nothing would run it, and every file is known for removal', () => {
  expect(timerFilesFor('none', PLAN)).toEqual({});
  const written = [...Object.keys(timerFilesFor('systemd', PLAN)), ...Object.keys(timerFilesFor('cron', PLAN))];
  expect(timerPaths('oc1').sort()).toEqual(written.sort());
});
