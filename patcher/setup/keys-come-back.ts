import { LatchkeyError } from '../../platform/errors.ts';
import { lookAtHome } from './key-server/home-end.ts';
import { type KnownClient, keyServerCommands } from './key-server/key-server-commands.ts';
import { serviceName } from './key-server/key-server-look.ts';
import { refuseDoubt } from './key-server/own-client.ts';
import { serverWords } from './pair.ts';
import type { SetupContext } from './setup-step.ts';

/** Why a key server would give no key back now. */
export interface Unreturned {
  readonly code: string;
  readonly words: string;
  readonly hint: string;
}

/** What ails one key server alone: another one that has the same clients gives the keys. */
const ABSENT = ['not running', 'sealed', 'degraded'];

/**
 * Before a teardown takes anything away: what is on the key server only has to come back from it. Throws (exit 3) where it is known
 * that it would not. Nothing to know where the owner's copy is taken instead, or another key server is asked. Changes nothing.
 */
export async function refuseUnreturned(context: SetupContext): Promise<void> {
  const { enrolment } = await context.facts();
  if (context.fromCopy !== null || enrolment === null || enrolment.keys.length === 0) return;
  context.progress.step('ask at home whether the key server gives the keys back');
  const { data, account } = await lookAtHome(context);
  if (data !== 'server' || !account) return;
  const own = keyServerCommands(context);
  const clients = await own.clients();
  refuseDoubt(enrolment.clientId, { name: context.config.client, memory: context.memory }, clients);
  const client = clients.find(({ id }) => id === enrolment.clientId);
  if (client === undefined) return;
  const { data: folder, account: who } = context.agreed.keyServer;
  const { health } = await own.status();
  const isAskedElsewhere = enrolment.urls.some((url) => !context.agreed.keyServer.urls.includes(url));
  const why = unreturned(isAskedElsewhere && ABSENT.includes(health) ? 'ok' : health, client, {
    data: folder,
    keyserver: `sudo -u ${who} keyserver`,
    start: context.home.platform === 'macos' ? 'launchctl kickstart system/' : 'systemctl start ',
    service: serviceName(context),
  });
  if (why === null) return;
  const { code, words, hint } = why;
  throw new LatchkeyError(code, `the keys would not come back: ${words}; nothing was taken away`, {
    exit: 3,
    hint: `at home: ${hint}; or take them from your own copy: ncpatch teardown ${serverWords(context.config)} --from-copy FILE`,
  });
}

/** Pure: `null` where nothing speaks against it. `health` is as `keyserver status` says it. */
export function unreturned(
  health: string,
  { name, state, killed }: Pick<KnownClient, 'name' | 'state' | 'killed'>,
  home: { readonly data: string; readonly keyserver: string; readonly start: string; readonly service: string },
): Unreturned | null {
  const { data, keyserver, start, service } = home;
  const at = `--data ${data}`;
  if (health === 'killed') {
    const hint = `${keyserver} revive ${at}, and no file KILL in there`;
    return { code: 'releases_stopped', words: 'the releases of the key server were stopped', hint };
  }
  if (health !== 'ok') {
    const words = health === 'not running' ? 'the key server does not run' : `the key server says "${health}"`;
    return { code: 'key_server_silent', words, hint: `${start}${service}; why: ${keyserver} doctor ${at}` };
  }
  if (killed) {
    const hint = `${keyserver} revive --client ${name} ${at}`;
    return { code: 'releases_stopped', words: `the releases of ${name} were stopped`, hint };
  }
  if (state === 'enrolled') return null;
  if (state === 'revoked') {
    const hint = `a revoked client stays so; a new one has none of its keys`;
    return { code: 'client_revoked', words: `${name} was revoked at home`, hint };
  }
  const hint = `why: ${keyserver} audit tail ${at}; when it was you: ${keyserver} client reset ${name} ${at}, and ncpatch setup`;
  return {
    code: 'client_locked',
    words: `${name} ${state === 'locked' ? 'is locked' : 'has no credentials'} at home`,
    hint,
  };
}
