import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Account, Browser, WebDav } from './nextcloud-client.ts';
import { nextcloudSettings } from './nextcloud-settings.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import type { Layer, WholeMachine } from './whole-machine.ts';

/** A way in which people install Nextcloud on a machine. */
export interface CloudKind {
  readonly name: 'lamp' | 'snap' | 'container';
  /** Why no machine can have one here, or `null`. */
  obstacle(): string | null;
  /** What a machine has to be built with. */
  layers(tree: NextcloudTree): Promise<readonly Layer[]>;
  /** Has it serve, with the master key of a stock one, SQLite, and nothing of Latchkey. */
  install(machine: WholeMachine, tree: NextcloudTree): Promise<WholeCloud>;
}

/** Where its web server is reached from outside of the machine, whatever is behind. */
export const WEB_SOCKET = '/run/nextcloud-web.sock';

/** A Nextcloud on a whole machine, however it was installed. */
export abstract class WholeCloud {
  readonly machine: WholeMachine;
  readonly admin: Account = { user: 'admin', password: randomBytes(12).toString('hex') };
  /** Its data directory, as the machine has it. */
  abstract readonly data: string;
  /** What a setup's configuration tells it by, beside the way to its machine. */
  abstract readonly wish: Readonly<Record<string, string>>;
  /** Folders of the machine that it writes to by itself. */
  abstract readonly restless: readonly string[];

  constructor(machine: WholeMachine) {
    this.machine = machine;
  }

  abstract occ(words: readonly string[], input?: string): Promise<string>;

  /** Runs all background jobs that are due. */
  abstract cron(): Promise<void>;

  /** Takes away what people who logged in before have left. */
  abstract dropSessions(): Promise<void>;

  /** All that is kept in memory goes, as when PHP is restarted. */
  abstract forget(): Promise<void>;

  /** A stock one with encryption on; its data directory by the name that it has for it. */
  protected async setUp(dataDirectory: string): Promise<void> {
    const account = ['--admin-user', this.admin.user, '--admin-pass', this.admin.password];
    await this.occ(['maintenance:install', '--database', 'sqlite', '--data-dir', dataDirectory, ...account]);
    await this.occ(['config:import'], JSON.stringify({ system: nextcloudSettings() }));
    await this.occ(['app:disable', 'password_policy', 'firstrunwizard', 'updatenotification', 'survey_client']);
    await this.occ(['app:enable', 'encryption']);
    await this.occ(['encryption:enable']);
  }

  /** Once PHP was started: until pages come. */
  protected async serves(): Promise<void> {
    const asked = `curl -sf -m 20 -H 'Host: localhost' --unix-socket ${WEB_SOCKET} http://localhost/status.php`;
    for (let tries = 0; !(await this.machine.tries(asked)); tries++) {
      if (tries === 120) throw new Error(`no Nextcloud answers on ${this.machine.name}`);
      await sleep(250);
    }
  }

  /** A person's client, without a session: each request is a cold one. Only as long as the machine has power. */
  dav(account: Account = this.admin): WebDav {
    return new WebDav({ socketPath: this.machine.path(WEB_SOCKET) }, account, { session: false });
  }

  browser(account: Account = this.admin): Browser {
    return new Browser({ socketPath: this.machine.path(WEB_SOCKET) }, account);
  }
}

/** A machine's own socket for a web server that listens on a port. */
export async function leadToWeb(machine: WholeMachine, target: string): Promise<void> {
  const name = '/etc/systemd/system/nextcloud-web';
  machine.write(`${name}.socket`, `[Socket]\nListenStream=${WEB_SOCKET}\n[Install]\nWantedBy=sockets.target\n`);
  machine.write(`${name}.service`, `[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd ${target}\n`);
  await machine.sh('systemctl daemon-reload && systemctl enable --now nextcloud-web.socket');
}
