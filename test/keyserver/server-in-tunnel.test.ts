import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from '../harness/background-process.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { buildTunnel, type Tunnel, tunnelObstacle } from '../harness/namespaces.ts';
import type { Place } from '../harness/place.ts';

const keyserver = projectProgram('keyserver/main.ts');

describe.skipIf(tunnelObstacle() !== null)('a key server in a real WireGuard tunnel', () => {
  const cleanup = new Cleanup();
  let tunnel: Tunnel;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-tunnel-'));
    cleanup.add(folder, () => rmSync(folder, { recursive: true }));
    tunnel = await buildTunnel(cleanup);
  });
  afterAll(() => cleanup.run());

  const inside = (place: Place, ...argv: [string, ...string[]]) =>
    run(place.inside(argv), { timeoutMs: 60_000, allowExit: 'any' });
  const data = (name: string, listen: string) => [
    '--data',
    join(folder, name),
    '--listen',
    listen,
    '--keyfile',
    join(folder, 'keyfile'),
  ];

  it('refuses the wire below the tunnel', async () => {
    const said = await inside(tunnel.keyServer, ...keyserver, 'init', ...data('wire', '10.203.71.1:8443'));
    expect(said.exit).toBe(3);
    expect(said.stderr).toMatch(/10\.203\.71\.1 is on \S+, which is not a WireGuard interface/);
  });

  it('waits for its address, serves the other end of the tunnel, and ends when it is told to', async () => {
    const { keyServer, nextcloud } = tunnel;
    const listen = `${keyServer.address}:8443`;
    expect((await inside(keyServer, ...keyserver, 'init', ...data('server', listen))).exit).toBe(0);
    const shown = (await inside(keyServer, 'ip', '-o', 'address', 'show', 'to', keyServer.address)).stdout.toString();
    const wireguard = shown.split(/\s+/)[1] ?? '';
    await inside(keyServer, 'ip', 'address', 'delete', `${keyServer.address}/24`, 'dev', wireguard);

    const start: Argv = [...keyserver, 'start', '--data', join(folder, 'server'), '--keyfile', join(folder, 'keyfile')];
    const server = await BackgroundProcess.start(keyServer.inside(start), { readyWhen: /waiting for/ });
    cleanup.add('key server', () => server.stop());
    expect(server.output()).not.toContain('serving');

    await inside(keyServer, 'ip', 'address', 'add', `${keyServer.address}/24`, 'dev', wireguard);
    await expect.poll(() => server.output(), { timeout: 15_000 }).toContain(`serving https://${listen}`);

    const script = join(folder, 'ask.mjs');
    writeFileSync(
      script,
      `import { readFileSync } from 'node:fs';
       import { get } from 'node:https';
       get(process.argv[2], { ca: readFileSync(process.argv[3]) }, (answer) => answer.pipe(process.stdout));`,
    );
    const asked = await inside(
      nextcloud,
      process.execPath,
      script,
      `https://${listen}/health`,
      join(folder, 'server', 'ca.pem'),
    );
    expect(asked.stdout.toString()).toBe('{"status":"ok"}');
    await server.stop();
    expect(server.isRunning()).toBe(false);
  });
});
