import { authorityOf } from '../../../platform/listening/listen-address.ts';
import type { SetupContext, StepLook } from '../setup-step.ts';
import { misfitOf } from './fit.ts';
import { type HomeLook, lookAtHome } from './home-end.ts';
import { keyServerCommands } from './key-server-commands.ts';
import { servesData } from './served-data.ts';

/** What `/health` may say of one that is used: whoever has stopped its releases wants it so. */
export const SERVING = ['ok', 'killed'];
/** As `keyserver status` says it. */
const FOREIGN = 'another program answers there';

type KeyServerScene = Pick<SetupContext, 'home' | 'agreed'>;

/** What starts the key server at boot, by its name there. */
export function serviceName({ home }: Pick<SetupContext, 'home'>): string {
  return home.platform === 'macos' ? 'latchkey.keyserver' : 'latchkey-keyserver.service';
}

/** Whether the key server that was agreed on is there, or may be made; changes nothing. */
export async function lookAtKeyServer(scene: KeyServerScene): Promise<StepLook> {
  const { data, account } = scene.agreed.keyServer;
  const { home } = scene;
  const found = await lookAtHome(scene);
  if (!found.account && home.platform === 'macos') {
    const hint =
      'the install.sh of a release makes it: npm run package, then there: sudo sh install.sh latchkey-*.tar.gz';
    return impossible('account_missing', `there is no account ${account} on the Mac at home`, hint);
  }
  if (!found.starts) {
    const hint =
      'a clone in a home folder cannot be read by others: npm run package makes a release, and its install.sh installs it';
    return impossible('program_unreadable', `${account} at home could not run ${home.keyserver.join(' ')}`, hint);
  }
  if (found.data === 'other') {
    return impossible(
      'data_taken',
      `${data} at home holds something that is no key server`,
      'name another directory: "keyServer.data"',
    );
  }
  if (found.data === 'server') {
    if (found.account) return lookAtServer(scene, found);
    return impossible(
      'account_missing',
      `${data} at home is a key server, but there is no account ${account}`,
      'say whose it is: "keyServer.account"',
    );
  }
  return found.taken
    ? impossible('port_taken', ...taken(scene, 'something listens there'))
    : lookAtService(scene, found);
}

/** One that is there. */
async function lookAtServer(scene: KeyServerScene, found: HomeLook): Promise<StepLook> {
  const { data } = scene.agreed.keyServer;
  const own = keyServerCommands(scene);
  const { health, sealedWith } = await own.status();
  const misfit = misfitOf(scene.agreed.keyServer, await own.listening(), sealedWith);
  const isServing = SERVING.includes(health);
  // whoever opens the vault otherwise starts it otherwise
  if (misfit !== null && !(misfit.field === 'keyServer.keyfile' && isServing)) {
    return impossible(
      'key_server_differs',
      `${data} is a key server, but ${misfit.words} (${misfit.field})`,
      misfit.hint,
    );
  }
  if (isServing) {
    if (servesData(found.service, data) && !found.enabled) return { state: 'missing' };
    const how = servesData(found.service, data)
      ? ''
      : `; it is not ${serviceName(scene)} that starts it, so see that something does`;
    const killed = health === 'killed' ? '; its releases are stopped (keyserver revive)' : '';
    return { state: 'done', words: `the key server in ${data} answers at ${addressOf(scene)}${killed}${how}` };
  }
  if (health === FOREIGN) return impossible('port_taken', ...taken(scene, health));
  if (health !== 'not running') {
    const hint = `is its disk full? see: keyserver doctor --data ${data}`;
    return impossible('key_server_unwell', `the key server in ${data} runs, but says "${health}"`, hint);
  }
  return found.taken && !found.active
    ? impossible('port_taken', ...taken(scene, 'another program listens there'))
    : lookAtService(scene, found);
}

/** Whether there is something to start it. */
function lookAtService(scene: KeyServerScene, found: HomeLook): StepLook {
  const { home } = scene;
  const { data, keyfile, account, hosts } = scene.agreed.keyServer;
  if (found.manager === 'none') {
    const start = [...home.keyserver, 'start', '--data', data, '--keyfile', keyfile].join(' ');
    const init = [
      ...home.keyserver,
      'init',
      '--data',
      data,
      '--listen',
      addressOf(scene),
      '--host',
      ...hosts,
      '--keyfile',
      keyfile,
    ];
    const first = found.data === 'server' ? '' : `${init.join(' ')}; `;
    const hint = `as ${account}, now and whenever it starts: ${first}${start}; then run this again`;
    return impossible(
      'no_service_manager',
      'neither systemd nor launchd runs at home, so nothing would start the key server',
      hint,
    );
  }
  const hidden = [...home.keyserver, data, keyfile].find((path) => /^\/(var\/)?tmp\//.test(path));
  if (found.manager === 'systemd' && hidden !== undefined) {
    const hint = 'take another place for it, or install a release: npm run package';
    return impossible('under_tmp', `${hidden} at home is among temporary files, which no service sees`, hint);
  }
  if (found.service !== null && !servesData(found.service, data)) {
    const hint = `name its directory ("keyServer.data"), or take that service away first`;
    return impossible('service_taken', `${serviceName(scene)} at home runs another key server`, hint);
  }
  return { state: 'missing' };
}

function impossible(code: string, words: string, hint: string): StepLook {
  return { state: 'impossible', code, words, hint };
}

function taken(scene: KeyServerScene, words: string): [string, string] {
  return [`${addressOf(scene)} at home is taken: ${words}`, 'end what listens there, or say another "keyServer.port"'];
}

/** Where it listens. */
export function addressOf({ agreed }: Pick<SetupContext, 'agreed'>): string {
  const { host, port } = agreed.keyServer.listen;
  return authorityOf(host, port);
}
