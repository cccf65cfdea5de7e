import { LatchkeyError } from '../../../platform/errors.ts';
import type { Facts } from '../../facts.ts';
import { enroll } from '../../keys/enroll.ts';
import { type ClientChoice, chooseClient, clientToRevoke, isNobodys } from '../key-server/client-choice.ts';
import { keepGrant } from '../key-server/grant.ts';
import { lookAtHome } from '../key-server/home-end.ts';
import { type KnownClient, keyServerCommands } from '../key-server/key-server-commands.ts';
import type { SetupContext, SetupStep, StepLook } from '../setup-step.ts';

/** Nextcloud becomes a client of the key server at home. Code and grant go from one machine to the other through memory only. */
export function enrolStep(context: SetupContext): SetupStep {
  const { config, agreed, nextcloud, progress, memory } = context;
  const { urls, from } = agreed.keyServer;
  const own = keyServerCommands(context);
  /** Whom this run has invited. */
  let invited: string | null = null;
  /** What was known before somebody was invited. */
  let earlier: { readonly id: string | null } | null = null;

  /** None while there is no key server yet, as in a plan of everything. */
  async function knownClients(): Promise<readonly KnownClient[]> {
    const { data, account } = await lookAtHome(context);
    return data === 'server' && account ? own.clients() : [];
  }

  const chosen = async (facts: Facts): Promise<ClientChoice> =>
    chooseClient({ name: config.client, urls, from, memory }, facts.enrolment, await knownClients());

  async function look(): Promise<StepLook> {
    const choice = await chosen(await context.facts());
    if (choice.kind === 'refuse') {
      const { code, words, hint } = choice;
      return { state: 'impossible', code, words, hint };
    }
    if (choice.kind !== 'done') return { state: 'missing' };
    if (memory.clientId !== choice.id || memory.before !== null) memory.remember(choice.id);
    return { state: 'done', words: `enrolled as ${choice.id}` };
  }

  async function plan(): Promise<readonly string[]> {
    const choice = await chosen(await context.facts());
    if (choice.kind === 'allow') return [`at home: requests of this Nextcloud may come from ${choice.from.join(', ')}`];
    const name = choice.kind === 'add' || choice.kind === 'reset' ? choice.name : config.client;
    const renamed =
      name === config.client
        ? []
        : [`at home: ${config.client} was revoked before and keeps its name, so this one is ${name}`];
    return [
      ...renamed,
      `at home: client ${name}, which may ask from ${from.join(', ')}`,
      `on the server: Nextcloud is told ${urls.join(', ')} and spends the one-time code; its credentials stay there`,
    ];
  }

  async function carryOut(): Promise<readonly string[]> {
    const facts = await context.facts();
    const choice = await chosen(facts);
    switch (choice.kind) {
      case 'refuse':
        throw new LatchkeyError(choice.code, choice.words, { exit: 3, hint: choice.hint });
      case 'done':
        return [`enrolled as ${choice.id}`];
      case 'allow':
        await own.allowFrom(choice.id, choice.from);
        return [`requests of ${choice.id} may come from ${choice.from.join(', ')}`];
      default:
        return enrolAs(choice, facts);
    }
  }

  async function enrolAs(choice: ClientChoice & { kind: 'add' | 'reset' }, facts: Facts): Promise<readonly string[]> {
    progress.step(`invite this Nextcloud at home as ${choice.name}`);
    const isNew = choice.kind === 'add';
    if (!isNew) await own.allowFrom(choice.id, from);
    const { clientId, code, ca, grant } = isNew
      ? await own.addClient(choice.name, from)
      : await own.resetClient(choice.id);
    if (isNew) invited = clientId;
    // what the server says was believed just now: it goes on saying so until its enrolment has ended
    earlier = { id: facts.enrolment?.clientId ?? memory.clientId };
    memory.remember(clientId, earlier.id);
    const order = { urls, code, ca, replace: facts.enrolment !== null };
    const report = await enroll(facts, order, { occ: nextcloud.instance.occ, progress });
    if (report.clientId !== clientId) {
      throw new LatchkeyError(
        'enrolled_elsewhere',
        `this Nextcloud was enrolled as ${report.clientId}, not as ${clientId}`,
        {
          hint: `something else answers at ${urls.join(', ')}`,
        },
      );
    }
    memory.remember(clientId);
    earlier = null;
    keepGrant(context, clientId, grant);
    return [`enrolled as ${clientId} (${choice.name} at home)`]; // whose authority it is, enroll() has told
  }

  /** One that Nextcloud holds credentials of stays: only what came after its enrolment can have failed. */
  async function undo(): Promise<readonly string[]> {
    const id = memory.clientId;
    if (earlier === null || id === null) return [];
    if ((await context.facts()).enrolment?.clientId === id)
      return [`the enrolment as ${id} stays; the next run goes on with it`];
    const left = invited === null ? [] : await uninvite(invited);
    if (earlier.id === null) memory.forget();
    else memory.remember(earlier.id);
    earlier = null;
    return left;
  }

  async function uninvite(id: string): Promise<readonly string[]> {
    const known = (await own.clients()).find((one) => one.id === id);
    if (known !== undefined && known.state !== 'revoked' && !isNobodys(known)) {
      return [`${known.name} (${id}) at home stays: another Nextcloud has its credentials by now`];
    }
    await own.revokeClient(id);
    invited = null;
    return [];
  }

  const toRevoke = async (facts: Facts): Promise<KnownClient | null> =>
    clientToRevoke(
      { name: config.client, memory },
      facts.enrolment,
      await knownClients(),
      facts.encryption.privateKeys,
    );

  async function planRemoval(): Promise<readonly string[]> {
    const client = await toRevoke(await context.facts());
    return client === null
      ? []
      : [`at home: client ${client.name} (${client.id}) is revoked: nothing is released to it any more`];
  }

  async function takeAway({ purge }: { readonly purge: boolean }): Promise<readonly string[]> {
    const facts = await context.facts();
    const away = facts.enrolment?.keys ?? [];
    if (away.length > 0) {
      throw new LatchkeyError(
        'keys_on_key_server',
        `${away.join(', ')} is on the key server only, so its client is not revoked`,
        {
          exit: 3,
          hint: 'bring the keys back first: ncpatch restore',
        },
      );
    }
    const client = await toRevoke(facts);
    if (client === null) return [];
    await own.revokeClient(client.id);
    return purge || client.keys.length === 0
      ? []
      : [`the key server at home keeps what ${client.name} has stored: ${client.keys.join(', ')}`];
  }

  return {
    name: 'enrol',
    title: 'make Nextcloud a client of the key server at home',
    needs: ['key-server', 'hook'],
    look,
    plan,
    carryOut,
    undo,
    planRemoval,
    takeAway,
  };
}
