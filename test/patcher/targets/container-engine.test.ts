import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../patcher/targets/container-engine.ts';
import { findEngines, listContainers, parseContainers } from '../../../patcher/targets/container-engine.ts';
import type { RunResult, Transport } from '../../../patcher/transports/transport.ts';
import { LatchkeyError } from '../../../platform/errors.ts';

const docker: Engine = { kind: 'docker', program: '/usr/bin/docker' };
const podman: Engine = { kind: 'podman', program: '/usr/bin/podman' };
const id = 'a'.repeat(64);

// recorded: docker 28.2 and podman 4.3, asked with the same template
const FROM_DOCKER = `{"id":"${id}","name":"/nc","status":"running","image":"nextcloud:33","entrypoint":["/entrypoint.sh"],"cmd":["apache2-foreground"],"mounts":[{"Type":"volume","Name":"nc","Source":"/var/lib/docker/volumes/nc/_data","Destination":"/var/www/html","Driver":"local","Mode":"z","RW":true,"Propagation":""}]}`;
const FROM_PODMAN = `{"id":"${id}","name":"nc","status":"created","image":"","entrypoint":"","cmd":["sh","-c","sleep 300"],"mounts":[{"Type":"bind","Source":"/srv/vol","Destination":"/var/lib/latchkey","Driver":"","Mode":"","Options":["rbind"],"RW":true,"Propagation":"rprivate"}]}`;

describe('parseContainers()', () => {
  test.each([
    'no json',
    '[]',
    FROM_DOCKER.replace(id, 'short'),
    FROM_DOCKER.replace('/nc"', '/n c; rm"'),
    FROM_DOCKER.replace('"RW":true', '"RW":"true"'),
    FROM_DOCKER.replace('"mounts"', '"other"'),
  ])('refuses %s', (line) => {
    expect(() => parseContainers(line, docker)).toThrow(expect.objectContaining({ code: 'container_answer_unknown' }));
  });

  test('reads docker', () => {
    expect(parseContainers(`${FROM_DOCKER}\n`, docker)).toEqual([
      {
        engine: docker,
        id,
        name: 'nc',
        status: 'running',
        image: 'nextcloud:33',
        command: ['/entrypoint.sh', 'apache2-foreground'],
        mounts: [
          {
            type: 'volume',
            name: 'nc',
            source: '/var/lib/docker/volumes/nc/_data',
            destination: '/var/www/html',
            writable: true,
          },
        ],
      },
    ]);
  });

  test('reads podman, whose entry point is a text and whose names have no slash', () => {
    expect(parseContainers(FROM_PODMAN, podman)).toMatchObject([
      { name: 'nc', command: ['sh', '-c', 'sleep 300'], mounts: [{ type: 'bind', name: null, source: '/srv/vol' }] },
    ]);
  });

  test('takes what was never given a command or a mount', () => {
    const bare = `{"id":"${id}","name":"/x","status":"created","image":"x","entrypoint":null,"cmd":null,"mounts":null}`;
    expect(parseContainers(bare, docker)).toMatchObject([{ command: [], mounts: [] }]);
  });
});

/** A machine that answers one program call after the other. */
function machine(...answers: readonly ((Partial<RunResult> & { readonly out?: string }) | LatchkeyError)[]): {
  readonly transport: Transport;
  readonly calls: string[][];
} {
  const calls: string[][] = [];
  const run: Transport['run'] = async (argv) => {
    const answer = answers[calls.push([...argv]) - 1];
    if (answer instanceof LatchkeyError) throw answer;
    return { exit: answer?.exit ?? 0, stdout: Buffer.from(answer?.out ?? ''), stderr: answer?.stderr ?? '' };
  };
  return { transport: { run } as Transport, calls };
}

describe('listContainers()', () => {
  test('tells that this account may not ask docker', async () => {
    const denied = machine({
      exit: 1,
      stderr: 'permission denied while trying to connect to the Docker daemon socket',
    });
    await expect(listContainers(denied.transport, [docker])).rejects.toMatchObject({
      code: 'container_engine_denied',
      hint: expect.stringContaining('--sudo'),
    });
  });

  test('tells that docker does not answer', async () => {
    const silent = machine(new LatchkeyError('command_timeout', 'docker did not finish'));
    await expect(listContainers(silent.transport, [docker])).rejects.toMatchObject({ code: 'container_engine_silent' });
  });

  test('does not take a broken connection for a docker that is silent', async () => {
    const cut = machine(new LatchkeyError('connection_lost', 'gone'));
    await expect(listContainers(cut.transport, [docker])).rejects.toMatchObject({ code: 'connection_lost' });
  });

  test('tells any other failure with what docker said kept for the log only', async () => {
    const broken = machine({ exit: 1, stderr: 'secret words' });
    const failure = await listContainers(broken.transport, [docker]).catch((error: unknown) => error as LatchkeyError);
    expect(failure).toMatchObject({ code: 'container_engine_failed', extra: { stderr: 'secret words' } });
    expect(String(failure)).not.toContain('secret words');
  });

  test('finds none where docker does not run', async () => {
    const down = machine({
      exit: 1,
      stderr: 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?',
    });
    expect(await listContainers(down.transport, [docker])).toEqual([]);
  });

  test('goes on without one that has gone since it was listed', async () => {
    const gone = machine(
      { out: `${id}\n${'b'.repeat(64)}\n` },
      { exit: 1, out: `${FROM_DOCKER}\n`, stderr: 'Error response from daemon: No such container: bbbb' },
    );
    expect(await listContainers(gone.transport, [docker])).toMatchObject([{ id }]);
  });

  test('takes a podman that is also there as docker once', async () => {
    const both = machine({ out: `${id}\n` }, { out: FROM_DOCKER }, { out: `${id}\n` });
    expect(await listContainers(both.transport, [docker, podman])).toHaveLength(1);
    expect(both.calls).toHaveLength(3);
  });

  test('never asks for the environment, where passwords are', async () => {
    const asked = machine({ out: `${id}\n` }, { out: FROM_DOCKER });
    await listContainers(asked.transport, [docker]);
    expect(asked.calls[1]?.join(' ')).toContain('{{json .Mounts}}');
    expect(asked.calls.flat().join(' ')).not.toContain('Env');
  });
});

test('findEngines() takes whole paths only', async () => {
  const found = machine({ out: 'docker\n/usr/bin/docker\nalias docker=podman\n/usr/bin/podman\n' });
  expect(await findEngines(found.transport)).toEqual([docker, podman]);
});
