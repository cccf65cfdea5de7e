import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Agreement } from '../../../patcher/setup/agreement.ts';
import type { SetupStep } from '../../../patcher/setup/setup-step.ts';
import { keyServerStep } from '../../../patcher/setup/steps/key-server-step.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { installerObstacle } from '../../harness/installer-machine.ts';
import { InstallerScene } from '../../harness/installer-scene.ts';
import { projectProgram } from '../../harness/keyserver-process.ts';
import { MacMachine } from '../../harness/mac-machine.ts';
import { guarded } from '../../harness/mac-stand-ins.ts';
import { findProgram } from '../../harness/programs.ts';
import { agreedOn, contextOf, transportTo } from './key-server-world.ts';

const BIN = '/run/stand-in/mac';
const PLIST = '/Library/LaunchDaemons/latchkey.keyserver.plist';
/** What every Mac has too, and installers do not use. */
const MORE = ['dirname', 'sync', 'dd'];
const HEAD =
  'Active Internet connections (including servers)\nProto Recv-Q Send-Q  Local Address  Foreign Address  (state)\n';

/** Why the account of a Mac could not run this clone, or `null`. */
function cloneObstacle(): string | null {
  const program = projectProgram('keyserver/main.ts').at(-1) as string;
  for (let path = program; path !== '/'; path = dirname(path)) {
    if ((statSync(path).mode & 0o005) === 0) return `others may not read ${path}`;
  }
  return null;
}

describe.skipIf((installerObstacle() ?? cloneObstacle()) !== null)(
  'the key server of a setup, on a stand-in for a Mac',
  { timeout: 120_000 },
  () => {
    let scene: InstallerScene;
    let mac: MacMachine;
    let transport: Transport;

    beforeAll(async () => {
      scene = await InstallerScene.build();
      mac = await MacMachine.build(scene);
      for (const name of MORE) mac.base.write(`${BIN}/${name}`, guarded(name, findProgram(name) ?? name), 0o755);
      mac.base.write(`${BIN}/netstat`, '#!/bin/sh\n[ "$*" = "-an -p tcp" ] && cat /run/stand-in/netstat\n', 0o755);
      listening();
      transport = await transportTo('the Mac', (argv) =>
        mac.base.inside(['env', `PATH=${BIN}`, 'HOME=/var/root', ...argv]),
      );
    }, 120_000);
    afterAll(() => scene?.end());

    function listening(...lines: string[]): void {
      mac.base.write('/run/stand-in/netstat', `${HEAD}${lines.map((line) => `${line}\n`).join('')}`);
    }
    function step(keyServer: Partial<Agreement['keyServer']> = {}): SetupStep {
      const keyserver = [...projectProgram('keyserver/main.ts')] as [string, ...string[]];
      const place = { data: '/Users/ann/latchkey/keys', keyfile: '/Users/ann/keyfile', account: 'ann' };
      return keyServerStep(
        contextOf({ transport, platform: 'macos', keyserver }, agreedOn({ ...place, ...keyServer })),
      );
    }

    it('refuses where there is no account, which install.sh makes', async () => {
      expect(await step({ account: 'latchkey' }).look()).toMatchObject({
        state: 'impossible',
        code: 'account_missing',
        hint: expect.stringContaining('install.sh'),
      });
    });

    it.each([
      ['that address', 'tcp4  0  0  127.0.0.1.8443  *.*  LISTEN'],
      ['every address', 'tcp46  0  0  *.8443  *.*  LISTEN'],
    ])('refuses a port at which something listens on %s', async (_, line) => {
      listening('tcp4  0  0  127.0.0.1.18443  *.*  LISTEN', line);
      expect(await step().look()).toMatchObject({ state: 'impossible', code: 'port_taken' });
      listening('tcp4  0  0  10.0.0.5.8443  *.*  LISTEN', 'tcp4  0  0  127.0.0.1.51234  127.0.0.1.8443  ESTABLISHED');
      expect(await step().look()).toEqual({ state: 'missing' });
      listening();
    });

    it('makes data and service as the account, has launchd run it, and takes it away again', async () => {
      const own = step();
      expect((await own.carryOut()).at(-1)).toBe(
        'it answers at 127.0.0.1:8443, and latchkey.keyserver starts it at boot',
      );
      const owners = await mac.base.command(
        'sh',
        '-c',
        `stat -c '%U %a %n' /Users/ann/latchkey /Users/ann/latchkey/keys /Users/ann/keyfile ${PLIST}`,
      );
      expect(owners).toBe(
        `root 711 /Users/ann/latchkey\nann 700 /Users/ann/latchkey/keys\nann 600 /Users/ann/keyfile\nroot 644 ${PLIST}\n`,
      );
      expect(await mac.base.command('sh', '-c', 'ps -eo user:20,args | grep "[s]tart --data /Users/ann"')).toMatch(
        /^ann /,
      );
      expect(await step().look()).toMatchObject({ state: 'done' });

      mac.base.takeCalls();
      expect(await own.carryOut()).toHaveLength(1);
      expect(mac.base.takeCalls().filter((call) => call.startsWith('launchctl'))).toEqual([]);

      expect(await step().takeAway({ purge: false })).toHaveLength(1);
      expect(mac.base.read(PLIST)).toBeNull();
      expect(await step().look()).toEqual({ state: 'missing' });
      expect(await step().takeAway({ purge: true })).toEqual([
        'the account ann at home stays: it was not made here, or another service uses it',
      ]);
      expect(await mac.base.command('sh', '-c', 'ls -A /Users/ann')).toBe('latchkey\n');
    });
  },
);
