import { afterAll, describe, expect, test } from 'vitest';
import { probeRoutes } from '../../../patcher/doctor/network-probe.ts';
import { tunnelFindings } from '../../../patcher/doctor/tunnel.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { Cleanup } from '../../harness/cleanup.ts';
import { buildTunnel, tunnelObstacle } from '../../harness/namespaces.ts';
import type { Place } from '../../harness/place.ts';

/** This machine as it is from within a network namespace. */
async function machineAt(place: Place): Promise<Transport> {
  const here = await openLocalTransport({ prompter: null });
  const at: Pick<Transport, 'run'> = { run: (argv, options) => here.run(place.inside(argv), options) };
  return at as Transport;
}

describe.runIf(tunnelObstacle() === null)('the look at a real tunnel', { timeout: 120_000 }, () => {
  const cleanup = new Cleanup();
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  });

  test('tells WireGuard with its handshake from a wire, a missing way and a name that is none', async () => {
    const tunnel = await buildTunnel(cleanup);
    const machine = await machineAt(tunnel.nextcloud);
    const look = async (...urls: string[]) => tunnelFindings(await probeRoutes({ machine, urls }), true);
    const inTunnel = `https://${tunnel.keyServer.address}:8443`;
    expect(await look(inTunnel)).toMatchObject([{ code: 'tunnel', level: 'ok' }]);
    const wire = '10.203.71.1';
    const answers = await look(
      `https://${wire}:8443`,
      'https://192.0.2.1',
      'https://no-such-name.invalid',
      'not a url',
    );
    expect(answers.map(({ code, level }) => `${level} ${code}`)).toEqual([
      'warn no_tunnel',
      'bad no_route',
      'bad key_server_name',
    ]);
  });
});
