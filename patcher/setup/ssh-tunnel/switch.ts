import { isLatchkeyError, LatchkeyError } from '../../../platform/errors.ts';
import { setServers } from '../../keys/servers.ts';
import type { Agreement } from '../agreement.ts';
import { type KnownClient, keyServerCommands } from '../key-server/key-server-commands.ts';
import { othersAmong, refuseDoubt } from '../key-server/own-client.ts';
import type { SetupContext, SetupStep, StepName } from '../setup-step.ts';
import { moveKeyServer } from './move-key-server.ts';

/** How a pair of machines speaks now, and how it is to: the same machines, agreements of their own. */
export interface TransportSwitch {
  readonly before: SetupContext;
  readonly after: SetupContext;
  /** The tunnels of an agreement, as steps. */
  readonly tunnels: (context: SetupContext) => readonly SetupStep[];
  /** On disk when it returns: what both machines may have of tunnels, and where the key server is. */
  readonly remember: (agreed: Agreement) => void;
}

/**
 * Has an enrolled Nextcloud ask another way, with the credentials it has. The new tunnel is laid first and the old one is taken away
 * last, when a key server has answered through the new one; what fails before that is taken back. Lines of what came of it.
 */
export async function switchTransport(order: TransportSwitch): Promise<readonly string[]> {
  const { before, after, tunnels, remember } = order;
  const { progress } = after;
  await ownClient(before);
  await refuseToLeaveOthers(before, after);
  const old = tunnels(before);
  const wanted = tunnels(after);
  const has = (steps: readonly SetupStep[], name: StepName): boolean => steps.some((one) => one.name === name);
  remember(bothOf(before.agreed, after.agreed));
  const lines: string[] = [];
  try {
    for (const step of wanted) lines.push(...(await lay(step, has(old, step.name), after)));
    await allow(after, [...before.agreed.keyServer.from, ...after.agreed.keyServer.from]);
    await moveKeyServer(after);
    lines.push(...(await askAt(before, after)));
  } catch (error) {
    progress.note('this failed: everything is put back');
    try {
      await goBack(order);
      remember(before.agreed);
    } catch (trouble) {
      const words = isLatchkeyError(trouble) ? `${trouble.message} (${trouble.code})` : 'something broke';
      progress.note(`not all of it could be put back now: ${words}; the same command again goes on`);
    }
    throw error;
  }
  await allow(after, after.agreed.keyServer.from, before.agreed.keyServer.from);
  for (const step of old.filter(({ name }) => !has(wanted, name))) {
    progress.step(`take back ${step.name}: ${step.title}`);
    lines.push(...(await step.takeAway({ purge: false })));
  }
  remember(after.agreed);
  return lines;
}

/** Pure: for whoever is interrupted meanwhile, so that nothing is forgotten. */
function bothOf(before: Agreement, after: Agreement): Agreement {
  return {
    wireguard: after.wireguard ?? before.wireguard,
    sshTunnel: after.sshTunnel ?? before.sshTunnel,
    keyServer: before.keyServer,
  };
}

/** One that is kept is left alone where it is WireGuard; an SSH tunnel may have to lead elsewhere from now on. */
async function lay(step: SetupStep, isKept: boolean, { progress }: SetupContext): Promise<readonly string[]> {
  if (isKept && step.name === 'wireguard') return [];
  const look = await step.look();
  if (look.state === 'impossible') throw new LatchkeyError(look.code, look.words, { exit: 3, hint: look.hint });
  if (look.state === 'done') return [look.words];
  progress.step(step.title);
  return step.carryOut();
}

/** Where it listens elsewhere from then on, those that ask it where it listens now would find nobody. */
async function refuseToLeaveOthers(before: SetupContext, after: SetupContext): Promise<void> {
  if (before.agreed.keyServer.listen.host === after.agreed.keyServer.listen.host) return;
  const { config, memory } = before;
  const others = othersAmong(await keyServerCommands(before).clients(), { name: config.client, memory });
  if (others.length === 0) return;
  const { host } = before.agreed.keyServer.listen;
  const words = `the key server at home is there for ${others.map(({ name }) => name).join(', ')} too, which ask it at ${host}`;
  const hint =
    'where several servers come to one home, each stays with SSH; or revoke those first: keyserver client revoke NAME';
  throw new LatchkeyError('key_server_in_use', words, { exit: 3, hint });
}

/** `null` where it is none. Throws `client_differs` (exit 3) where the server names one that is not its own. */
async function ownClient(context: SetupContext): Promise<KnownClient | null> {
  const { enrolment } = await context.facts();
  if (enrolment === null) return null;
  const clients = await keyServerCommands(context).clients();
  refuseDoubt(enrolment.clientId, { name: context.config.client, memory: context.memory }, clients);
  return clients.find(({ id }) => id === enrolment.clientId) ?? null;
}

/** What the key server lets this Nextcloud come from: these, and what else its owner has allowed it. */
async function allow(context: SetupContext, from: readonly string[], instead: readonly string[] = []): Promise<void> {
  const own = keyServerCommands(context);
  const known = await ownClient(context);
  if (known === null) return;
  const wanted = [...new Set([...known.from.filter((one) => !instead.includes(one)), ...from])];
  if (wanted.join() !== known.from.join()) await own.allowFrom(known.id, wanted);
}

/** Addresses that the owner has added stay, behind those of the pair. Each that is new has to prove itself. */
async function askAt(before: SetupContext, after: SetupContext): Promise<readonly string[]> {
  const facts = await after.facts();
  if (facts.enrolment === null) return [];
  const { urls } = after.agreed.keyServer;
  const others = facts.enrolment.urls.filter((url) => ![...urls, ...before.agreed.keyServer.urls].includes(url));
  const order = { urls: [...urls, ...others], unchecked: true };
  const { occ } = after.nextcloud.instance;
  const report = await setServers(facts, order, { occ, progress: after.progress });
  const silent = urls.filter((url) => !before.agreed.keyServer.urls.includes(url) && report.unchecked.includes(url));
  if (urls.every((url) => report.unchecked.includes(url)) || silent.length > 0) {
    throw new LatchkeyError('tunnel_not_proved', `no key server has answered Nextcloud at ${urls.join(', ')}`, {
      hint: 'see "ncpatch tunnel status"',
    });
  }
  return [`Nextcloud asks at ${report.urls.join(', ')}`];
}

async function goBack({ before, after, tunnels }: TransportSwitch): Promise<void> {
  await moveKeyServer(before);
  const old = tunnels(before);
  for (const step of old) {
    if (step.name !== 'wireguard' && (await step.look()).state === 'missing') await step.carryOut();
  }
  const { enrolment } = await before.facts();
  const { urls } = before.agreed.keyServer;
  if (enrolment !== null && !urls.every((url) => enrolment.urls.includes(url))) {
    const others = enrolment.urls.filter((url) => !after.agreed.keyServer.urls.includes(url));
    const order = { urls: [...new Set([...urls, ...others])], unchecked: true };
    await setServers(await before.facts(), order, { occ: before.nextcloud.instance.occ, progress: before.progress });
  }
  for (const step of tunnels(after).filter(({ name }) => !old.some((one) => one.name === name))) {
    await step.takeAway({ purge: false });
  }
  await allow(before, before.agreed.keyServer.from, after.agreed.keyServer.from);
}
