import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addClientCommands } from '../../keyserver/commands/client.ts';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { masterKeyId } from '../keyserver/made-server.ts';
import { RunningServer } from '../keyserver/running-server.ts';
import { StateFolder } from './state-folder.ts';

const bootstrap = join(import.meta.dirname, 'bootstrap.php');

describe.skipIf(!hasProgram('php'))('the app, whose secrets the real key server changes', () => {
  let server: RunningServer;
  let folder: StateFolder;
  beforeEach(async () => {
    server = await RunningServer.start({ clients: 1 });
    const credentials = server.made.clients[0];
    if (credentials === undefined) throw new Error('no client was made');
    const url = `https://127.0.0.1:${server.port}`;
    folder = StateFolder.make(join(dirname(server.made.data), 'state'), credentials, { url, ca: server.made.ca });
  });
  afterEach(() => server.remove());

  /** Runs steps of PHP, each `$name = …`, and answers what they gave: `ok`, or the code of what was thrown. */
  async function php(...steps: string[]): Promise<string[]> {
    const script = `
      require $argv[1];
      use OCA\\RemoteKeyStorage\\Host;
      $host = static fn () => Host::at($argv[2])->client();
      $release = static fn ($client) => $client->release(['${masterKeyId}'], 'verify');
      foreach ([${steps.map((step) => `static function () use ($host, $release) { static $old; ${step} }`).join(',')}] as $step) {
        try { $step(); echo "ok\\n"; } catch (\\Throwable $e) { echo method_exists($e, 'code') ? $e->code() : get_class($e) . $e->getMessage(), "\\n"; }
      }`;
    const said = await run(['php', '-r', script, bootstrap, folder.path], { timeoutMs: 30_000, allowExit: 'any' });
    return said.stdout.toString().trim().split('\n');
  }
  const rotate = async (...what: string[]) => {
    const argv = [
      'client',
      'rotate',
      'client-0',
      '--data',
      server.made.data,
      '--keyfile',
      server.made.keyfile,
      ...what,
    ];
    expect((await runCommand(addClientCommands, argv)).exit).toBe(0);
  };
  const clientFile = () => folder.read('client.json');
  const isUnderWay = () =>
    server.beside(
      async (tx) => (await tx.selectFrom('client').select('next_sealed').executeTakeFirst())?.next_sealed !== null,
    );

  it('stores what it is told and uses it from the next call on', async () => {
    const before = clientFile();
    await rotate('--token', '--totp');
    expect(await php('$release($host());')).toEqual(['ok']);
    const after = clientFile();
    expect(after).not.toBe(before);
    expect({ ...JSON.parse(after), token: '', totpSecret: '' }).toEqual({
      ...JSON.parse(before),
      token: '',
      totpSecret: '',
    });
    expect(await isUnderWay()).toBe(true);
    expect(await php('$host()->heartbeat();', '$release($host());')).toEqual(['ok', 'ok']);
    expect(await isUnderWay()).toBe(false);
    expect(clientFile()).toBe(after);
  });
  it('goes on with its old secrets after a crash before they were stored, and is told them again', async () => {
    const before = clientFile();
    await rotate('--token', '--totp');
    await php('$release($host());');
    const told = clientFile();
    writeFileSync(join(folder.path, 'client.json'), before); // as if it had never been written
    expect(await php('$host()->heartbeat();')).toEqual(['ok']);
    expect(await php('$release($host());')).toEqual(['ok']);
    expect(clientFile()).toBe(told);
    expect(await php('$release($host());')).toEqual(['ok']);
    expect(await isUnderWay()).toBe(false);
  });
  it('is no stranger in a process that read the old secrets before', async () => {
    await rotate('--token', '--totp');
    const steps = `$old = $host(); $release($host()); $release($host()); $release($old); $old->heartbeat();`;
    expect(await php(steps)).toEqual(['ok']);
    expect(await isUnderWay()).toBe(false);
    expect(await server.events()).not.toContain('request_denied');
  });
});
