import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agree } from '../../../patcher/setup/agree.ts';
import { settledTransport } from '../../../patcher/setup/settled-transport.ts';
import { parseSetup, type TransportChoice } from '../../../patcher/setup/setup-config.ts';
import { RecordFile, type SetupRecord } from '../../../patcher/setup/setup-record.ts';
import { run } from '../../../platform/run.ts';
import { projectProgram } from '../../harness/keyserver-process.ts';

const wish = (transport: TransportChoice) => parseSetup({ server: { ssh: 'root@cloud.example' }, transport }, '/');
const network = { network: '10.71.3.0/30', homeAddress: '10.71.3.1', serverAddress: '10.71.3.2' };

/** What an earlier run has left. */
async function left(transport: TransportChoice, steps: SetupRecord['steps']): Promise<SetupRecord> {
  const agreed = await agree(wish(transport), 'linux', null, async () => network);
  return { version: 1, config: wish(transport), agreed, steps };
}
const at = 1;

describe('what two machines are to speak over', () => {
  it.each<[TransportChoice, TransportChoice]>([
    ['wireguard', 'ssh'],
    ['wireguard', 'both'],
    ['ssh', 'wireguard'],
    ['both', 'ssh'],
  ])('is not changed by a setup from %s to %s: that is what "tunnel use" is for', async (present, wanted) => {
    const name = present === 'ssh' ? 'ssh-tunnel' : 'wireguard';
    const earlier = await left(present, { [name]: { state: 'done', at }, enrol: { state: 'done', at } });
    expect(() => settledTransport(wish(wanted), true, earlier)).toThrow(
      expect.objectContaining({
        code: 'transport_settled',
        exit: 3,
        message: expect.stringMatching(/^this server is set up with .* already, not with .*: nothing was done$/),
        hint: `to change it: ncpatch tunnel use ${wanted} --ssh root@cloud.example`,
      }),
    );
  });

  it.each(['begun', 'done'] as const)('is not changed when a run that did not end has %s a tunnel', async (state) => {
    const earlier = await left('wireguard', { wireguard: { state, at } });
    expect(() => settledTransport(wish('ssh'), true, earlier)).toThrow(
      expect.objectContaining({ code: 'transport_settled', hint: expect.stringContaining('ncpatch teardown --ssh') }),
    );
  });

  it.each(['undone', 'declined'] as const)('may be another one when the first was %s', async (state) => {
    const earlier = await left('wireguard', { wireguard: { state, at } });
    expect(settledTransport(wish('ssh'), true, earlier).transport).toBe('ssh');
  });

  it('is what there is, where nobody says otherwise', async () => {
    const earlier = await left('ssh', { 'ssh-tunnel': { state: 'done', at } });
    expect(settledTransport(wish('wireguard'), false, earlier).transport).toBe('ssh');
    expect(settledTransport(wish('wireguard'), false, null).transport).toBe('wireguard');
    expect(settledTransport(wish('ssh'), true, earlier).transport).toBe('ssh');
  });
});

describe('ncpatch setup over a finished one', () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'latchkey-settled-'));
  });
  afterEach(() => rmSync(state, { recursive: true }));

  it.each([
    ['by its file', ['--config']],
    ['by an option, in a dry run', ['--ssh', 'root@cloud.example', '--transport', 'both', '--dry-run']],
  ])('says at once what it is set up with when another transport is asked for %s', async (_, words) => {
    const file = new RecordFile(wish('wireguard'), { XDG_STATE_HOME: state });
    file.write(await left('wireguard', { wireguard: { state: 'done', at }, enrol: { state: 'done', at } }));
    const record = join(file.folder, 'setup.json');
    const before = readFileSync(record, 'utf8');
    const config = join(state, 'setup-wish.json');
    writeFileSync(config, JSON.stringify({ server: { ssh: 'root@cloud.example' }, transport: 'ssh' }));
    const argv = [...projectProgram('patcher/main.ts'), 'setup', '--yes', '--skip', 'escrow', ...words];
    if (words.at(-1) === '--config') argv.push(config);
    const options = { timeoutMs: 60_000, allowExit: 'any', env: { XDG_STATE_HOME: state } } as const;
    const { exit, stderr } = await run(argv as ['node'], options);
    expect([exit, stderr]).toEqual([
      3,
      expect.stringMatching(
        /^ncpatch: error: this server is set up with WireGuard already.*\nncpatch: hint: to change/,
      ),
    ]);
    expect(stderr).not.toMatch(/^\[#\]/m);
    expect(readFileSync(record, 'utf8')).toBe(before);
    expect(readdirSync(file.folder)).toEqual(['setup.json']);
  });
});
