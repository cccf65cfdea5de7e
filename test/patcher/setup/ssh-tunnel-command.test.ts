import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { transportOf } from '../../../patcher/setup/transport-of.ts';
import { run } from '../../../platform/run.ts';
import { projectProgram } from '../../harness/keyserver-process.ts';
import { agreedOn } from './key-server-world.ts';

describe('ncpatch tunnel', () => {
  let state: string;
  const ncpatch = async (...words: readonly string[]): Promise<{ exit: number; stderr: string }> => {
    const options = { timeoutMs: 60_000, allowExit: 'any', env: { XDG_STATE_HOME: state } } as const;
    return run([...projectProgram('patcher/main.ts'), 'tunnel', ...words] as ['node'], options);
  };

  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'latchkey-tunnel-'));
  });
  afterEach(() => rmSync(state, { recursive: true }));

  it.each([
    ['another name than it knows', 2, ['use', 'pigeon', '--ssh', 'root@cloud.example', '--yes']],
    ['no name', 2, ['use', '--ssh', 'root@cloud.example']],
    ['a server that was not set up from here', 3, ['use', 'ssh', '--ssh', 'root@cloud.example', '--yes']],
    ['a server that was not set up from here, when asked what is there', 3, ['status', '--ssh', 'root@cloud.example']],
    ['nobody to say which server', 2, ['use', 'ssh', '--yes']],
  ])('refuses %s, before it connects to anything', async (_, code, words) => {
    const { exit, stderr } = await ncpatch(...words);
    expect([exit, stderr]).toEqual([code, expect.stringMatching(/^(ncpatch: )?error: /)]);
    expect(stderr).not.toMatch(/^\[#\]/m);
    expect(readdirSync(state)).toEqual([]);
  });
});

describe('what two machines were left with', () => {
  const wireguard = {
    interface: 'latchkey',
    network: '10.71.203.0/30',
    homeAddress: '10.71.203.1',
    serverAddress: '10.71.203.2',
    dials: 'home',
    endpoint: { host: 'cloud.example', port: 51820 },
  } as const;
  const sshTunnel = {
    dials: 'home',
    endpoint: { host: 'cloud.example', port: 22 },
    account: 'latchkey-tunnel',
    listen: 8443,
  } as const;

  it.each([
    ['wireguard', { wireguard, sshTunnel: null }],
    ['ssh', { wireguard: null, sshTunnel }],
    ['both', { wireguard, sshTunnel }],
  ] as const)('is %s, by what was agreed on', (transport, tunnels) => {
    expect(transportOf({ ...agreedOn({}), ...tunnels })).toBe(transport);
  });
});
