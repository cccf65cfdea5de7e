import { LatchkeyError } from '../../../platform/errors.ts';
import { authorityOf } from '../../../platform/listening/listen-address.ts';
import { lookAtHome } from '../key-server/home-end.ts';
import { keyServerCommands } from '../key-server/key-server-commands.ts';
import { servesData } from '../key-server/served-data.ts';
import type { SetupContext } from '../setup-step.ts';
import { keyServerStep } from '../steps/key-server-step.ts';

/** Has the key server at home listen where it was agreed, by the same authority, and waits until it does. Nothing where it does already. */
export async function moveKeyServer(context: SetupContext): Promise<void> {
  const { home, agreed, progress } = context;
  const { listen, hosts, data } = agreed.keyServer;
  const own = keyServerCommands(context);
  const present = await own.listening();
  const isThere = present.listen.host === listen.host && present.listen.port === listen.port;
  const missing = hosts.filter((host) => !present.hosts.includes(host));
  if (!isThere || missing.length > 0) {
    const at = authorityOf(listen.host, listen.port);
    progress.step(`have the key server at home listen on ${at}`);
    const { service } = await lookAtHome(context);
    if (!servesData(service, data)) {
      throw new LatchkeyError(
        'key_server_foreign',
        `it is another service than setup's that starts the key server in ${data}`,
        {
          exit: 3,
          hint: `have it listen there yourself, and start it again: keyserver listen ${at} --host ${hosts.join(' ')} --data ${data}`,
        },
      );
    }
    await own.listenAt(at, [...new Set([...hosts, ...present.hosts])]);
    const restart: readonly [string, ...string[]] =
      home.platform === 'macos'
        ? ['launchctl', 'kickstart', '-k', 'system/latchkey.keyserver']
        : ['systemctl', 'restart', 'latchkey-keyserver.service'];
    const { exit, stderr } = await home.transport.run(restart);
    if (exit !== 0) {
      const extra = { exit, stderr: stderr.slice(-4096) };
      throw new LatchkeyError('key_server_silent', 'the key server at home could not be started again', { extra });
    }
  }
  await keyServerStep(context).carryOut();
}
