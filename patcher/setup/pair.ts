import type { RandomBytes } from '../../platform/clock.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { LocalApp } from '../app-files.ts';
import type { JournalDeps } from '../journal/transaction.ts';
import type { Transport } from '../transports/transport.ts';
import { openWorkplace, type Surroundings, type WorkOptions } from '../workplace.ts';
import { agree } from './agree.ts';
import type { Agreement } from './agreement.ts';
import { adoptOnce, KnownFile, memoryOf } from './client-memory.ts';
import { aloneAtHome } from './home-lock.ts';
import { type HomeMachine, openHome } from './home-machine.ts';
import { chooseNetwork } from './network-choice.ts';
import { machineIdentity, pairBytes } from './pair-bytes.ts';
import type { SetupConfig } from './setup-config.ts';
import { RecordFile } from './setup-record.ts';
import type { SetupContext } from './setup-step.ts';
import { takenNetworks } from './taken-networks.ts';

export interface PairDeps {
  readonly around: Surroundings;
  readonly journal: JournalDeps;
  readonly app: LocalApp;
  readonly random: RandomBytes;
  readonly copyPath: string;
  readonly copyPassphrase: SetupContext['copyPassphrase'];
  readonly fromCopy: string | null;
  /** Nothing is to be changed: others may be at work meanwhile. */
  readonly isLook: boolean;
}

/**
 * Connects to both machines and settles what is not settled yet, which it tells, as it takes its time; closes both connections whatever
 * happens. Unless it is a mere look, nobody else is at work at home meanwhile. Throws `not_root`, `home_busy`,
 * `instance_known` (exit 3).
 */
export async function withPair<T>(
  config: SetupConfig,
  earlier: Agreement | null,
  deps: PairDeps,
  work: (context: SetupContext) => Promise<T>,
): Promise<T> {
  const { progress } = deps.journal;
  progress.step(`look for a Nextcloud on ${config.server.ssh ?? 'this machine'}`);
  const nextcloud = await openWorkplace(serverOptions(config), deps.around);
  try {
    refuseUnlessRoot(nextcloud.instance.machine);
    progress.step(`look at the machine that keeps the key: ${config.home.ssh ?? 'this one'}`);
    const opened = await openHome(config.home, deps.around).catch((error: unknown) => {
      throw deps.fromCopy === null ? error : homeless(error, config);
    });
    const settled = async (home: HomeMachine): Promise<T> => {
      const server = nextcloud.instance.machine;
      const choose = async () => {
        progress.step('look which networks the two machines are in');
        const own = config.wireguard.interface;
        const taken = await Promise.all([takenNetworks(home.transport, own), takenNetworks(server, own)]);
        const [machine, instance] = await Promise.all([machineIdentity(home.transport), nextcloud.instanceId()]);
        return chooseNetwork(config.wireguard.network, taken.flat(), pairBytes(machine, instance));
      };
      const { journal, app, random, copyPath, copyPassphrase, fromCopy, around, isLook } = deps;
      const record = new RecordFile(config, around.env);
      const memory = memoryOf(new KnownFile(record.folder), await nextcloud.instanceId(), isLook);
      const isEnrolled = record.read()?.steps.enrol?.state === 'done';
      await adoptOnce(memory, isEnrolled, async () => (await nextcloud.facts()).enrolment?.clientId);
      const common = { config, home, server, nextcloud, facts: () => nextcloud.facts(), journal };
      const agreed = await agree(config, home.platform, earlier, choose);
      const own = { app, now: journal.now, random, copyPath, copyPassphrase, fromCopy };
      return work({ ...common, ...own, agreed, memory, progress });
    };
    try {
      if (deps.isLook) return await settled(opened);
      const named = config.server.ssh ?? 'its own Nextcloud';
      return await aloneAtHome(opened.transport, named, deps.journal, (transport) => settled({ ...opened, transport }));
    } finally {
      await opened.transport.close();
    }
  } finally {
    await nextcloud.close();
  }
}

/** Whoever has a copy of the keys does not need the machine at home for them. */
function homeless(error: unknown, config: SetupConfig): unknown {
  if (!isLatchkeyError(error)) return error;
  const { code, message, exit } = error;
  const server = serverWords(config);
  const hint = `is it gone for good? ncpatch restore ${server} --from-copy FILE brings the keys back, then ncpatch remove ${server} takes the app away`;
  return new LatchkeyError(code, message, { exit, hint, cause: error });
}

function refuseUnlessRoot({ user, label }: Transport): void {
  if (user.uid === 0) return;
  throw new LatchkeyError('not_root', `${label}, which Nextcloud runs on, is not acted on as root`, {
    exit: 3,
    field: 'server.sudo',
    hint: 'log in as root, or with --sudo for an account with sudo',
  });
}

/** How every other command of ncpatch is told of this server. */
export function serverOptions({ server, hook }: SetupConfig): WorkOptions {
  const given = Object.fromEntries(Object.entries(server).filter(([, value]) => value !== undefined));
  return { ...given, ...(hook === 'core' ? { hook } : {}) };
}

/** The same as words of a command line. */
export function serverWords({ server }: Pick<SetupConfig, 'server'>): string {
  const { ssh, sudo, root, container, identity } = server;
  const words = ssh === undefined ? ['--local'] : ['--ssh', ssh];
  if (identity !== undefined) words.push('--identity', identity);
  if (sudo) words.push('--sudo');
  if (root !== undefined) words.push('--root', root);
  if (container !== undefined) words.push('--container', container);
  return words.join(' ');
}
