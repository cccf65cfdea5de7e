import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseNetwork } from '../../../patcher/setup/network-choice.ts';
import { machineIdentity, pairBytes } from '../../../patcher/setup/pair-bytes.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { run } from '../../../platform/run.ts';

const chosen = (home: string, instance: string, taken: readonly string[] = []): string =>
  chooseNetwork(undefined, taken, pairBytes(home, instance)).network;

describe('the network of a pair', () => {
  it('is the same in every run, so that a dry run shows what the run takes', () => {
    expect(chosen('5e1f', 'oc2ff6a69c39')).toBe(chosen('5e1f', 'oc2ff6a69c39'));
  });

  it('is another one for another home, and for another Nextcloud', () => {
    const found = ['a', 'b', 'c', 'd'].flatMap((end) => [chosen(end, 'oc1234567890'), chosen('home', end)]);
    expect(new Set(found).size).toBe(8);
    expect(chosen('ab', 'c')).not.toBe(chosen('a', 'bc'));
  });

  it('moves on to the next where it collides, and that one is the same in every run too', () => {
    const first = chosen('5e1f', 'oc2ff6a69c39');
    const second = chosen('5e1f', 'oc2ff6a69c39', [first]);
    expect(second).not.toBe(first);
    expect(chosen('5e1f', 'oc2ff6a69c39', [first])).toBe(second);
    expect(chosen('5e1f', 'oc2ff6a69c39', [second])).toBe(first);
  });
});

describe('what a machine calls itself', () => {
  /** A machine with programs of its own before the system's. */
  async function identityWith(programs: Readonly<Record<string, string>>): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-identity-'));
    try {
      for (const [name, text] of Object.entries(programs)) {
        writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
        chmodSync(join(folder, name), 0o755);
      }
      const env = { PATH: `${folder}:${process.env.PATH}` };
      const transport = {
        run: (argv, options) => run(argv, { ...options, env, timeoutMs: 20_000, allowExit: 'any' }),
      } as Pick<Transport, 'run'>;
      return await machineIdentity(transport);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it('is the hardware’s id on a Mac', async () => {
    const uname = 'if [ "$1" = -s ]; then echo Darwin; else echo studio.local; fi';
    const told = `printf '+-o J316sAP\\n    {\\n      "IOPlatformSerialNumber" = "C02"\\n      "IOPlatformUUID" = "9F1C"\\n    }\\n'`;
    expect(await identityWith({ uname, ioreg: told })).toBe('9F1C');
  });

  it('is the same when it is asked again, and not nothing', async () => {
    const said = await identityWith({});
    expect(said).not.toBe('');
    expect(await identityWith({})).toBe(said);
  });
});
