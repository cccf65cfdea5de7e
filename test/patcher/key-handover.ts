import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timerPaths } from '../../patcher/heartbeat-timer.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { type Invitation, KeyServer } from '../harness/keyserver-process.ts';

/** A real key server on this machine, and what ncpatch is told of it to bring the keys of a Nextcloud there. */
export class KeyHandover {
  readonly keyServer: KeyServer;
  readonly invitation: Invitation;
  /** Where the owner's copy of the keys is put. */
  readonly copy: string;
  /** What is read from files, as nobody is to see it among a command's words. */
  readonly files: Readonly<Record<'code' | 'grant' | 'ca' | 'passphrase', string>>;

  private constructor(folder: string, keyServer: KeyServer, invitation: Invitation) {
    this.keyServer = keyServer;
    this.invitation = invitation;
    this.copy = join(folder, 'copy');
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    this.files = {
      code: file('code', invitation.code),
      grant: file('grant', invitation.grant),
      ca: file('ca.pem', invitation.ca),
      passphrase: file('passphrase', 'pass '.repeat(5).trim()),
    };
  }

  /** One that serves, with a client that is not enrolled yet; its data and all files are in `folder`. */
  static async open(folder: string, cleanup: Cleanup): Promise<KeyHandover> {
    const keyServer = await KeyServer.init({ data: join(folder, 'keys'), port: await freePort(), cleanup });
    await keyServer.start();
    return new KeyHandover(folder, keyServer, await keyServer.addClient('cloud'));
  }

  /** Words for `ncpatch enroll`. */
  get enrolment(): readonly string[] {
    return ['--url', this.invitation.url, '--ca', this.files.ca, '--code-file', this.files.code];
  }

  /** Words for `ncpatch escrow`. */
  get escrow(): readonly string[] {
    return ['--grant-file', this.files.grant, '--copy', this.copy, '--copy-passphrase-file', this.files.passphrase];
  }
}

/** At the end, whatever ncpatch has put outside of an instance, and what else is named. */
export function leaveNoTraces(cleanup: Cleanup, instanceId: string, others: readonly string[] = []): void {
  const folders = [`/var/lib/latchkey/${instanceId}`, `/var/lib/latchkey/ncpatch/${instanceId}`];
  cleanup.add('traces', () => {
    for (const path of [...folders, ...timerPaths(instanceId), ...others])
      rmSync(path, { recursive: true, force: true });
  });
}
