import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { timerFilesFor } from '../../patcher/heartbeat-timer.ts';
import { insideWords } from '../../patcher/transports/container-transport.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';

const SERVICE = '/etc/systemd/system/latchkey-heartbeat-oc1.service';

function files(scheduler: 'systemd' | 'cron', program: string): Record<string, string> {
  const command = insideWords({ program }, '33', 'cloud');
  const stateFolder = '/mnt/ncdata/.latchkey-oc1';
  return timerFilesFor(scheduler, {
    instanceId: 'oc1',
    way: { via: 'container', command },
    script: '#!/bin/sh\n',
    stateFolder,
  });
}

const WORDS = 'exec -i -u 33 cloud /bin/sh -s /mnt/ncdata/.latchkey-oc1 oc1';

test('cron hands the script of the machine over to a shell in the container, by its name', () => {
  expect(files('cron', '/usr/bin/docker')['/etc/cron.d/latchkey-oc1']).toContain(
    `\n* * * * * root /usr/bin/docker ${WORDS} </var/lib/latchkey/heartbeat-oc1.sh >/dev/null 2>&1\n`,
  );
});

test('a unit does the same', () => {
  const unit = files('systemd', '/usr/bin/docker')[SERVICE] ?? '';
  expect(unit).toContain(`\nExecStart=/usr/bin/docker ${WORDS}\n`);
  expect(unit).toContain('\nStandardInput=file:/var/lib/latchkey/heartbeat-oc1.sh\n');
  expect(unit).not.toContain('ConditionPathExists'); // the enrolment is in the container
});

test('podman may write what it keeps, docker nothing, and a snap is confined by its own means', () => {
  expect(files('systemd', '/usr/bin/podman')[SERVICE]).toContain('ReadWritePaths=-/run -/var/lib/containers\n');
  expect(files('systemd', '/usr/bin/docker')[SERVICE]).not.toContain('ReadWritePaths');
  expect(files('systemd', '/snap/bin/docker')[SERVICE]).not.toContain('NoNewPrivileges');
});

describe.runIf(hasProgram('systemd-analyze'))('systemd-analyze', () => {
  test.each(['docker', 'podman'])('finds nothing in the units for %s', async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-units-'));
    try {
      const program = join(folder, name); // it looks whether the program is there
      writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
      const units = Object.entries(files('systemd', program)).filter(([path]) => /\.(service|timer)$/.test(path));
      expect(await verifyUnits(Object.fromEntries(units))).toBe('0 ');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
