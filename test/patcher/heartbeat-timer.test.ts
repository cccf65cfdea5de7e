import { describe, expect, test } from 'vitest';
import { timerFilesFor, timerPaths } from '../../patcher/heartbeat-timer.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';

const PLAN = {
  instanceId: 'oc1',
  way: { via: 'machine', user: 'www-data' } as const,
  script: '#!/bin/sh\n',
  stateFolder: "/srv/it's 100% $mine",
};
const SERVICE = '/etc/systemd/system/latchkey-heartbeat-oc1.service';
const COMMAND = '/bin/sh /var/lib/latchkey/heartbeat-oc1.sh';

test('the cron line quotes for the shell and for cron', () => {
  expect(timerFilesFor('cron', PLAN)['/etc/cron.d/latchkey-oc1']).toContain(
    `* * * * * www-data ${COMMAND} '/srv/it'\\''s 100\\% $mine' oc1 >/dev/null`,
  );
});

test('the unit quotes for systemd', () => {
  expect(timerFilesFor('systemd', PLAN)[SERVICE]).toContain(`ExecStart=${COMMAND} "/srv/it's 100%% $$mine" oc1\n`);
  expect(timerFilesFor('systemd', PLAN)[SERVICE]).toContain(`\nReadWritePaths="/srv/it's 100%% $mine"\n`);
});

test('a line break in a path is refused', () => {
  expect(() => timerFilesFor('cron', { ...PLAN, stateFolder: '/a\n* * * * * root id' })).toThrow(TypeError);
});

test('the script comes along under both, and nothing is written where nothing would run it', () => {
  for (const scheduler of ['systemd', 'cron'] as const) {
    expect(timerFilesFor(scheduler, PLAN)['/var/lib/latchkey/heartbeat-oc1.sh']).toBe(PLAN.script);
  }
  expect(timerFilesFor('none', PLAN)).toEqual({});
});

test('every file is known for removal', () => {
  const written = [...Object.keys(timerFilesFor('systemd', PLAN)), ...Object.keys(timerFilesFor('cron', PLAN))];
  expect(new Set(timerPaths('oc1'))).toEqual(new Set(written));
});

describe.runIf(hasProgram('systemd-analyze'))('systemd-analyze', () => {
  function verify(change: (unit: string) => string): Promise<string> {
    const files = Object.entries(timerFilesFor('systemd', { ...PLAN, way: { via: 'machine', user: 'root' } }));
    const units = files.filter(([path]) => /\.(service|timer)$/.test(path));
    return verifyUnits(Object.fromEntries(units.map(([path, text]) => [path, change(text)])));
  }

  test('finds nothing in the units', async () => {
    expect(await verify((unit) => unit)).toBe('0 ');
  });

  test('would find a setting that there is not', async () => {
    expect(await verify((unit) => unit.replace('NoNewPrivileges', 'NoNewPrivilege'))).toContain('NoNewPrivilege');
  });
});
