import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installCommand, verifiedCommand } from '../../wireguard/installers/install-commands.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { RULES } from './powershell-rules.ts';
import { PowerShellScript } from './powershell-script.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;
beforeAll(async () => {
  hub = await startRunningHub({ tokens: [{ name: 'ops', scopes: ['peers:read', 'peers:write'] }] });
});
afterAll(() => hub.stop());

describe('the installer for windows that a hub gives out', () => {
  it('is the one that was shown, asks what the hub knows, and reads what the hub answers', async () => {
    const order = { spokeName: 'Büro ‘eins’', platform: 'windows' };
    const invited = await hub.request('POST', '/api/installation/token', { token: 'ops', body: order });
    expect(invited.status).toBe(201);
    const { token, scripts } = invited.body;
    const fetched = await hub.request('GET', `/api/installation/script/${token.token}?platform=windows`);
    expect([fetched.status, fetched.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(createHash('sha256').update(fetched.text).digest('hex')).toBe(scripts.windows.sha256);
    const script = await PowerShellScript.parse(fetched.text);
    for (const [name, rule] of Object.entries(RULES)) expect(rule(script), name).toEqual([]);

    const [, path, members] = /Invoke-Hub '([^']*register)' @\{(.*?)\}/.exec(fetched.text) ?? [];
    const says: Record<string, string> = {
      token: token.token,
      publicKey: generateKeyPair().publicKey,
      os: 'Windows 10.0.22631.0 amd64',
    };
    const body = Object.fromEntries(
      [...(members ?? '').matchAll(/(\w+) =/g)].map(([, name = '']) => [name, says[name]]),
    );
    const { status, body: answer } = await hub.request('POST', path ?? '', { body });
    expect([status, answer.error]).toEqual([201, undefined]);
    const { spoke, config, configText } = answer;
    expect([spoke.id, config.hubAddresses[0], config.handshakeWithin]).toEqual([token.spokeId, '10.0.1.1', 30]);
    for (const name of ['spoke', 'config', 'configText', 'hubAddresses', 'handshakeWithin'])
      expect(fetched.text).toContain(` '${name}'`);

    const known = [...fetched.text.matchAll(/^ +'(\[\w+\])' = @\((.*)\)$/gm)].map(
      ([, section = '', keys = '']) => [section, keys.replaceAll("'", '').split(', ')] as const,
    );
    const setting = new RegExp(/-notmatch '(\^\\s\*\(\[A-Za-z\][^']*)'/.exec(fetched.text)?.[1] ?? '(?!)');
    let section = '';
    const seen: string[] = [];
    for (const line of (configText as string).split('\n').filter((one) => one !== '')) {
      if (known.some(([name]) => name === line)) section = line;
      else {
        const [, key = ''] = setting.exec(line) ?? [];
        expect(known.find(([name]) => name === section)?.[1], line).toContain(key);
        seen.push(section + key);
      }
    }
    const [, needed = ''] = /foreach \(\$needed in @\((.*)\)\)/.exec(fetched.text) ?? [];
    expect(seen).toEqual(expect.arrayContaining(needed.replaceAll("'", '').split(', ')));

    const taken = { token: token.token, publicKey: body.publicKey };
    expect((await hub.request('POST', '/api/spoke/withdraw', { body: taken })).status).toBe(200);
    expect((await hub.request('POST', '/api/spoke/withdraw', { body: taken })).status).toBe(404);
  });

  it('is fetched by commands that are PowerShell, whatever is in them', async () => {
    for (const url of ['https://hub.example/x?platform=windows', "https://hub.example/o'clock’; calc #$(calc)"]) {
      for (const pin of ['', 'sha256//AAAA+/=']) {
        const place = { url, pin };
        const lines = [
          installCommand('windows', place),
          verifiedCommand('windows', {
            ...place,
            sha256: 'ab',
            signature: 'c==',
            signingKey: '-----BEGIN\nKEY-----\n',
          }),
        ];
        for (const line of lines) {
          const parsed = await PowerShellScript.parse(line);
          expect([...RULES['is of PowerShell'](parsed), ...RULES['does not leave by exit'](parsed)], line).toEqual([]);
          expect(
            parsed.commands().map(({ name }) => name),
            line,
          ).not.toContain('calc');
        }
      }
    }
  });
});
