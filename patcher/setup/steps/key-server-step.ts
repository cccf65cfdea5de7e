import { dirname } from 'node:path/posix';
import { setTimeout as delay } from 'node:timers/promises';
import { LatchkeyError } from '../../../platform/errors.ts';
import { clientToRevoke, keysElsewhere } from '../key-server/client-choice.ts';
import {
  type HomeLook,
  hasGivenUp,
  lookAtHome,
  type MadePart,
  makeAtHome,
  removeAtHome,
  serveAtHome,
  unserveAtHome,
} from '../key-server/home-end.ts';
import { type KnownClient, keyServerCommands } from '../key-server/key-server-commands.ts';
import { addressOf, lookAtKeyServer, SERVING, serviceName } from '../key-server/key-server-look.ts';
import { isOwn, othersAmong } from '../key-server/own-client.ts';
import { servesData } from '../key-server/served-data.ts';
import type { SetupContext, SetupStep, StepLook } from '../setup-step.ts';

/** A first start makes a certificate, and waits for its address. */
const PATIENCE_MS = 90_000;
const LOOK_AGAIN_MS = 1_000;

const namesOf = (clients: readonly KnownClient[]): string => clients.map(({ name }) => name).join(', ');

/** A key server at home: account, data directory, service. One that is there is used as it is, or refused; never replaced. */
export function keyServerStep(context: SetupContext, patienceMs = PATIENCE_MS): SetupStep {
  const { home, agreed, progress } = context;
  const { data, keyfile, account } = agreed.keyServer;
  const at = addressOf(context);
  const own = keyServerCommands(context);
  const service = serviceName(context);
  const logs = home.platform === 'macos' ? `tail ${data}/keyserver.log` : `journalctl -u ${service}`;
  const made = new Set<MadePart>();
  const note = (part: MadePart): void => void made.add(part);

  /** Its own health, by TLS and its own authority; asked at home, so that no tunnel has to be there. */
  async function waitUntilServing(): Promise<void> {
    const end = performance.now() + patienceMs;
    let health = 'not running';
    while (performance.now() < end) {
      ({ health } = await own.status());
      if (SERVING.includes(health)) return;
      if (health !== 'not running' || (await hasGivenUp(context))) break;
      await delay(LOOK_AGAIN_MS);
    }
    const said = health === 'not running' ? 'does not answer' : `says "${health}"`;
    throw new LatchkeyError('key_server_silent', `the key server at home ${said} at ${at}`, {
      hint: `see there: ${logs}`,
    });
  }

  async function look(): Promise<StepLook> {
    const found = await lookAtKeyServer(context);
    if (found.state !== 'impossible' || found.code !== 'key_server_differs') return found;
    const others = othersAmong(await own.clients(), ownClient());
    const { host } = (await own.listening()).listen;
    return others.length === 0 || host === agreed.keyServer.listen.host ? found : inUse(namesOf(others), host);
  }

  function inUse(names: string, host: string): StepLook {
    const bySsh = '"--transport ssh --client NAME" for this one';
    return {
      state: 'impossible',
      code: 'key_server_in_use',
      words: `the key server in ${data} at home is there for ${names} already, and listens at ${host} alone`,
      hint: `several servers come to one home by SSH: ${host === '127.0.0.1' ? '' : '"ncpatch tunnel use ssh" for the first, then '}${bySsh}`,
    };
  }

  async function carryOut(): Promise<readonly string[]> {
    const found = await look();
    if (found.state === 'impossible') throw new LatchkeyError(found.code, found.words, { exit: 3, hint: found.hint });
    if (found.state === 'done') return [found.words];
    progress.step(`make the key server in ${data} at home`);
    await makeAtHome(context, note);
    progress.step(`have ${service} start it, now and at boot`);
    await serveAtHome(context, await own.serviceText(), note);
    progress.step(`ask it for its health at ${at}`);
    await waitUntilServing();
    return [
      made.has('data')
        ? `made the key server in ${data}, run as ${account}`
        : `the key server in ${data} runs as ${account}`,
      ...(made.has('keyfile') ? [`made ${keyfile}, which opens its vault at boot: keep a copy elsewhere`] : []),
      `it answers at ${at}, and ${service} starts it at boot`,
    ];
  }

  /** A vault in which somebody has put something stays, whoever made it. */
  async function isVaultInUse(): Promise<boolean> {
    const { clients, keys } = await own.status();
    return keys > 0 || Object.values(clients).some((count) => count > 0);
  }

  async function undo(): Promise<readonly string[]> {
    const left: string[] = [];
    if (made.has('service')) await unserveAtHome(context);
    await removeAtHome(context, 'begun');
    if (made.has('data') && (await isVaultInUse())) {
      left.push(`${data} and ${keyfile} at home stay: the vault is in use`);
      made.delete('data');
      made.delete('keyfile');
      made.delete('account');
    }
    for (const part of (['data', 'keyfile', 'account'] as const).filter((one) => made.has(one))) {
      await removeAtHome(context, part);
    }
    for (const part of [...made].filter((one) => one.startsWith('folder ')).reverse())
      await removeAtHome(context, part);
    made.clear();
    return left;
  }

  async function planRemoval(): Promise<readonly string[]> {
    const found = await lookAtHome(context);
    if (!servesData(found.service, data) || (await isOfOthersToo(found))) return [];
    return [
      `at home: ${service} is stopped, and not started at boot any more`,
      `at home: ${data} stays, with the keys in it, unless everything is to be purged`,
    ];
  }

  async function takeAway({ purge }: { readonly purge: boolean }): Promise<readonly string[]> {
    const found = await lookAtHome(context);
    const others = await othersOf(found);
    if (purge) await refuseToPurge(others, found);
    if (servesData(found.service, data) && others.length > 0) {
      return [`the key server at home goes on, as other clients need it: ${namesOf(others)}`];
    }
    if (servesData(found.service, data)) await unserveAtHome(context);
    if (!purge) {
      const stays = `${data} and ${keyfile} at home stay: they hold keys; so does the account ${account}, whose they are`;
      return found.data === 'server' ? [stays] : [];
    }
    if (found.data === 'server') {
      if (SERVING.includes((await own.status()).health)) {
        throw new LatchkeyError(
          'key_server_runs',
          `the key server in ${data} at home still runs, so it was not purged`,
          {
            exit: 3,
            hint: `it is not ${service} that started it: end it, then try again`,
          },
        );
      }
      await removeAtHome(context, 'data');
      // one beside a directory that is no key server's may be another vault's
      await removeAtHome(context, 'keyfile');
    }
    await removeAtHome(context, 'account');
    if ((await lookAtHome(context)).account) {
      return [`the account ${account} at home stays: it was not made here, or another service uses it`];
    }
    await removeAtHome(context, `folder ${dirname(data)}`);
    return [];
  }

  const clientsOf = async (found: HomeLook): Promise<readonly KnownClient[]> =>
    found.data === 'server' && found.account ? own.clients() : [];

  /** Who else may ask it. Once ours is revoked, all that may are others. */
  const othersOf = async (found: HomeLook): Promise<readonly KnownClient[]> =>
    (await clientsOf(found)).filter(({ state }) => state === 'enrolled' || state === 'locked');

  /** The same before ours is revoked. */
  async function isOfOthersToo(found: HomeLook): Promise<boolean> {
    const may = await othersOf(found);
    if (may.length === 0) return false;
    const { enrolment, encryption } = await context.facts();
    const ours = clientToRevoke(ownClient(), enrolment, may, encryption.privateKeys);
    return may.some(({ id }) => id !== ours?.id);
  }

  const ownClient = () => ({ name: context.config.client, memory: context.memory });

  /** The keys of others are nobody's here to throw away, whatever the server says that it has; nor are those that are nowhere else. */
  async function refuseToPurge(others: readonly KnownClient[], found: HomeLook): Promise<void> {
    if (others.length > 0) {
      const words = `the key server in ${data} at home has other clients: ${namesOf(others)}`;
      const hint = 'take it away without --purge, or revoke them first: keyserver client revoke NAME';
      throw new LatchkeyError('key_server_in_use', words, { exit: 3, hint });
    }
    const keeping = (found.data === 'server' ? await own.clients() : []).filter(({ keys }) => keys.length > 0);
    if (keeping.length === 0) return;
    const { privateKeys } = (await context.facts()).encryption;
    const elsewhere = keeping.flatMap((one) =>
      (isOwn(one, ownClient()) ? keysElsewhere(one, privateKeys) : one.keys).map((key) => `${key} of ${one.name}`),
    );
    if (elsewhere.length === 0) return;
    const words = `the key server in ${data} at home has keys that are not on this server's disk: ${elsewhere.join(', ')}`;
    const hint = `take it away without --purge; when nobody needs them any more, remove ${data} yourself`;
    throw new LatchkeyError('keys_on_key_server', words, { exit: 3, hint });
  }

  return {
    name: 'key-server',
    title: 'run a key server at home, started at boot',
    needs: [],
    look,
    plan: async () => {
      const found = await lookAtHome(context);
      return [
        ...(found.account ? [] : [`at home: account ${account}, without a login`]),
        ...(found.data === 'server'
          ? [`at home: the key server in ${data} is used as it is`]
          : [`at home: data directory ${data}, with a vault and a certificate authority of its own`]),
        ...(found.keyfile ? [] : [`at home: key file ${keyfile}, which opens the vault at boot`]),
        `at home: ${service}, listening on ${at}`,
      ];
    },
    carryOut,
    undo,
    planRemoval,
    takeAway,
  };
}
