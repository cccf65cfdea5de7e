import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { buildTunnel, type Tunnel, tunnelObstacle } from '../harness/namespaces.ts';

const obstacle = tunnelObstacle();
const module = resolve(import.meta.dirname, '../../wireguard/interface-address.ts');

describe.skipIf(obstacle !== null)(`placeOf() beside a real wireguard-go tunnel`, () => {
  const cleanup = new Cleanup();
  let tunnel: Tunnel;
  beforeAll(async () => {
    tunnel = await buildTunnel(cleanup);
  });
  afterAll(() => cleanup.run());

  async function placeOf(address: string): Promise<unknown> {
    const script = `import { placeOf } from ${JSON.stringify(module)}; console.log(JSON.stringify(placeOf('${address}')));`;
    const argv = [process.execPath, '--input-type=module', '-e', script] as const;
    const result = await run(tunnel.keyServer.inside([...argv]), { timeoutMs: 20_000 });
    return JSON.parse(result.stdout.toString());
  }

  it('does not take the wire below the tunnel for the tunnel', async () => {
    expect(await placeOf('10.203.71.1')).toMatchObject({ kind: 'other' });
  });
  it('does not know the address of the other end as its own', async () => {
    expect(await placeOf('10.204.71.2')).toEqual({ kind: 'absent' });
  });
  it('knows the address on the tunnel', async () => {
    expect(await placeOf(tunnel.keyServer.address)).toMatchObject({ kind: 'wireguard' });
  });
});
