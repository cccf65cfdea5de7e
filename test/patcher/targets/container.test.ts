import { describe, expect, test } from 'vitest';
import { container } from '../../../patcher/targets/container.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';
import { LatchkeyError } from '../../../platform/errors.ts';

const VERSION =
  "<?php\n$OC_Version = array(33,0,8,1);\n$OC_VersionString = '33.0.8';\n$OC_Channel = 'stable';\n$vendor = 'nextcloud';\n";

type Answer = (argv: readonly string[]) => string | LatchkeyError;

/** A machine whose docker has these containers, by the names that their programs answer to. */
function machine(containers: Readonly<Record<string, Answer>>): Transport {
  const names = Object.keys(containers);
  const idOf = (name: string): string => String(names.indexOf(name)).repeat(64);
  const run: Transport['run'] = async (argv) => {
    const done = (text: string, stderr = '') => ({ exit: 0, stdout: Buffer.from(text), stderr });
    if (argv[0] === 'sh') return done('/usr/bin/docker\n');
    if (argv[1] === 'ps') return done(names.map((name) => `${idOf(name)}\n`).join(''));
    if (argv[1] === 'container') {
      const told = { status: 'running', image: 'nextcloud', entrypoint: null, cmd: null, mounts: [] };
      return done(names.map((name) => JSON.stringify({ id: idOf(name), name, ...told })).join('\n'));
    }
    const name = names.find((one) => argv.includes(idOf(one))) ?? '';
    const answer = containers[name]?.(argv) ?? '';
    if (answer instanceof LatchkeyError) throw answer;
    return done(answer, `${argv[argv.indexOf('-c') + 2]}\n`);
  };
  return { run, label: 'there', realPath: async (path: string) => path } as unknown as Transport;
}

const hangs: Answer = () => new LatchkeyError('command_timeout', 'docker did not finish');
const cut: Answer = () => new LatchkeyError('connection_lost', 'gone');
const database: Answer = () => '';
const cloud: Answer = (argv) => {
  const words = argv.join(' ');
  if (words.includes('command -v php')) return '\n/var/www/html\n';
  return words.includes('head -c') ? VERSION : '/var/www/html/config/config.php\n';
};

describe('find()', () => {
  test('tells of a container that hangs where there is nothing else', async () => {
    await expect(container.find(machine({ cloud: hangs, db: database }))).rejects.toMatchObject({
      code: 'container_silent',
    });
  });

  test('is not kept from one by another that hangs', async () => {
    const found = await container.find(machine({ cloud, other: hangs }));
    expect(found).toMatchObject([{ container: 'cloud', root: '/var/www/html', versionString: '33.0.8' }]);
  });

  test('does not take a broken connection for an empty machine', async () => {
    await expect(container.find(machine({ cloud: cut }))).rejects.toMatchObject({ code: 'connection_lost' });
  });

  test('names what is there when a container is asked for that is not', async () => {
    await expect(container.find(machine({ cloud, db: database }), undefined, 'nextcloud')).rejects.toMatchObject({
      code: 'container_gone',
      hint: expect.stringContaining('cloud, db'),
    });
  });

  test('takes the beginning of an id, but not a short one', async () => {
    const there = machine({ cloud });
    expect(await container.find(there, undefined, '0'.repeat(12))).toHaveLength(1);
    await expect(container.find(there, undefined, '0'.repeat(11))).rejects.toMatchObject({ code: 'container_gone' });
  });
});
