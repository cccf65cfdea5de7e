import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { type CheckedScript, installCommand, verifiedCommand } from '../../wireguard/installers/install-commands.ts';
import { PLATFORMS } from '../../wireguard/store/schema.ts';
import { selfSigned } from '../harness/installer-hub.ts';
import { SHELLS } from '../harness/installer-machine.ts';
import { findProgram, hasProgram } from '../harness/programs.ts';
import { PowerShellScript } from './powershell-script.ts';

const missing = ['curl', 'openssl', 'sha256sum', ...Object.values(SHELLS).map(([shell]) => shell)].filter(
  (name) => !hasProgram(name),
);
const shells = Object.entries(SHELLS);
const forSh = PLATFORMS.filter((platform) => platform !== 'windows');
/** Says that it was run, with what, and what of standard input there was for it. */
const SCRIPT = '#!/bin/sh\n# größe\necho "RUN $0 $*"\nid -u >"$HOME/was-run"\n';

describe.skipIf(missing.length > 0)(
  `commands that install${missing.length > 0 ? ` (no ${missing.join(', ')})` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-commands-'));
    const home = join(folder, "home of o'h $(x)");
    const bin = join(folder, 'bin');
    const servers: Server[] = [];
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    let served: string | null = SCRIPT;
    let plain = '';
    let tls = { url: '', pin: '' };

    beforeAll(async () => {
      mkdirSync(bin);
      // what sudo is for here: to be seen to be called
      writeFileSync(join(bin, 'sudo'), '#!/bin/sh\necho "SUDO $*"\nexec "$@"\n', { mode: 0o755 });
      const answer = (request: IncomingMessage, response: ServerResponse): void => {
        response.writeHead(served === null || request.url !== "/it's?platform=x&y" ? 410 : 200).end(served ?? '{}');
      };
      const listening = async (server: Server): Promise<number> => {
        servers.push(server);
        await new Promise<void>((done) => {
          server.listen(0, '127.0.0.1', done);
        });
        return (server.address() as AddressInfo).port;
      };
      const { key, certificate, pin } = await selfSigned();
      plain = `http://127.0.0.1:${await listening(createHttp(answer))}/it's?platform=x&y`;
      const port = await listening(createHttps({ key, cert: certificate }, answer));
      tls = { url: `https://127.0.0.1:${port}/it's?platform=x&y`, pin };
    });
    afterAll(() => {
      for (const server of servers) server.close();
      rmSync(folder, { recursive: true });
    });
    beforeEach(() => {
      served = SCRIPT;
      rmSync(home, { recursive: true, force: true });
      mkdirSync(home);
    });

    const checked = (
      place: { url: string; pin: string },
      text = SCRIPT,
      by: KeyObject = privateKey,
    ): CheckedScript => ({
      ...place,
      sha256: createHash('sha256').update(text).digest('hex'),
      signature: sign(null, Buffer.from(text), by).toString('base64'),
      signingKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    });
    /** As pasted into a terminal. */
    interface Pasted {
      readonly exit: number;
      readonly said: string;
      readonly stderr: string;
      readonly ran: boolean;
    }
    async function pasted(
      line: string,
      [shell, ...args]: readonly string[] = ['bash'],
      path = '/usr/bin:/bin:/usr/sbin',
    ): Promise<Pasted> {
      const env = { HOME: home, PATH: `${bin}:${path}` };
      const argv = [findProgram(shell ?? 'sh') ?? 'sh', ...args, '-c', line] as const;
      const { exit, stdout, stderr } = await run(argv, { timeoutMs: 20_000, allowExit: 'any', env, cwd: folder });
      return { exit, said: stdout.toString('utf8'), stderr, ran: existsSync(join(home, 'was-run')) };
    }
    /** What is left of a download. */
    const kept = (): string[] => readdirSync(home).filter((name) => name.startsWith('latchkey.'));

    describe.each(shells)('in %s', (_, shell) => {
      test.each(forSh)('the short one fetches the script and runs it (%s)', async (platform) => {
        const { exit, said, ran } = await pasted(installCommand(platform, { url: plain, pin: '' }), shell);
        expect([exit, ran, said]).toEqual([0, true, platform === 'proxmox' ? 'RUN sh \n' : 'SUDO sh\nRUN sh \n']);
      });

      test('the short one trusts a certificate of its own for its key alone', async () => {
        expect((await pasted(installCommand('linux', tls), shell)).ran).toBe(true);
        rmSync(join(home, 'was-run'));
        const other = `sha256//${Buffer.alloc(32).toString('base64')}`;
        expect((await pasted(installCommand('linux', { ...tls, pin: other }), shell)).ran).toBe(false);
        expect((await pasted(installCommand('linux', { ...tls, pin: '' }), shell)).ran).toBe(false);
      });

      test('the long one runs what it has checked, and keeps it', async () => {
        const { exit, said, stderr, ran } = await pasted(verifiedCommand('linux', checked(tls)), shell);
        expect([exit, stderr, ran]).toEqual([0, '', true]);
        const [name = ''] = kept();
        expect(said).toContain(`checked; the script is kept as ${home}/${name}/install.sh\n`);
        expect(readFileSync(join(home, name, 'install.sh'), 'utf8')).toBe(SCRIPT);
      });

      const other = (text: string, by?: KeyObject) => ({ signature: checked(tls, text, by).signature });
      const { privateKey: anotherKey } = generateKeyPairSync('ed25519');
      const refused: readonly (readonly [string, string | null, string, () => Partial<CheckedScript>])[] = [
        ['another script', `${SCRIPT}# more\n`, 'its SHA-256 is another', () => ({})],
        ['no script any more', null, 'could not be fetched', () => ({})],
        ['a signature of somebody else', SCRIPT, 'is not signed by the hub', () => other(SCRIPT, anotherKey)],
        ['a signature of another script', SCRIPT, 'is not signed by the hub', () => other('another')],
        ['no signature', SCRIPT, 'is not signed by the hub', () => ({ signature: '' })],
      ];
      test.each(refused)('the long one refuses %s, runs nothing and leaves nothing', async (_, text, says, change) => {
        served = text;
        const { exit, stderr, ran } = await pasted(verifiedCommand('linux', { ...checked(tls), ...change() }), shell);
        expect([exit, stderr, ran]).toEqual([1, expect.stringContaining(says), false]);
        expect(kept()).toEqual([]);
      });
    });

    test('the long one goes by the SHA-256 alone where no openssl knows such signatures, and says so', async () => {
      const small = join(folder, 'small');
      mkdirSync(small);
      const needed = ['sh', 'curl', 'mktemp', 'rm', 'sha256sum', 'grep', 'id', 'dirname'];
      for (const name of needed) symlinkSync(findProgram(name) ?? '', join(small, name));
      for (const openssl of [null, '#!/bin/sh\necho "LibreSSL 3.3.6" >&2\nexit 1\n']) {
        if (openssl !== null) writeFileSync(join(small, 'openssl'), openssl, { mode: 0o755 });
        const { exit, stderr, ran } = await pasted(verifiedCommand('macos', checked(tls)), ['bash'], small);
        expect([exit, stderr, ran]).toEqual([0, expect.stringContaining('the signature was not'), true]);
        rmSync(join(home, 'was-run'));
        served = 'echo other';
        expect((await pasted(verifiedCommand('macos', checked(tls)), ['bash'], small)).exit).toBe(1);
        served = SCRIPT;
      }
    });

    test('the long one counts by shasum where there is no sha256sum, as on macOS', async () => {
      const mac = join(folder, 'mac');
      mkdirSync(mac);
      for (const name of ['sh', 'curl', 'mktemp', 'rm', 'grep', 'id'])
        symlinkSync(findProgram(name) ?? '', join(mac, name));
      const shasum = `#!/bin/sh\n[ "$*" = '-a 256' ] && exec ${findProgram('sha256sum')}\n`;
      writeFileSync(join(mac, 'shasum'), shasum, { mode: 0o755 });
      expect(await pasted(verifiedCommand('macos', checked(tls)), ['bash'], mac)).toMatchObject({ exit: 0, ran: true });
    });

    test('the long one asks for sudo where its caller is not root', async () => {
      const path = join(folder, 'user');
      mkdirSync(path);
      writeFileSync(join(path, 'id'), '#!/bin/sh\necho 1000\n', { mode: 0o755 });
      chmodSync(path, 0o755);
      const { said } = await pasted(verifiedCommand('linux', checked(tls)), ['dash'], `${path}:/usr/bin:/bin`);
      expect(said).toMatch(/^SUDO sh .*\/install\.sh$/m);
    });

    test('those for PowerShell are what its grammar knows, on which no value is more than a text', async () => {
      const nasty = { url: "https://h/'; Remove-Item C:\\ #$(x)`n‘", pin: "sha256//'A" };
      for (const pin of ['', nasty.pin]) {
        for (const text of [
          installCommand('windows', { ...nasty, pin }),
          verifiedCommand('windows', checked({ ...nasty, pin })),
        ]) {
          expect(text).toMatch(/^[\n -~]+$/);
          const script = await PowerShellScript.parse(text);
          expect(script.root.hasError).toBe(false);
          expect(script.commands().map(({ name }) => name.toLowerCase())).not.toContain('remove-item');
        }
      }
    });
  },
);
