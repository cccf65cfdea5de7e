import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askSecret, printTable, runProgram, type Terminal } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';

function terminal(env: Record<string, string> = {}): Terminal & { out: () => string; err: () => string } {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const text = (stream: PassThrough) => () => (stream.read() as Buffer | null)?.toString() ?? '';
  return { stdin, stdout, stderr, env, out: text(stdout), err: text(stderr) };
}

async function outcome(argv: string[], action: () => Promise<void>, env: Record<string, string> = {}) {
  const io = terminal(env);
  const exit = await runProgram(
    'prog',
    (program) => void program.command('go').option('--json').option('--size <n>').action(action),
    argv,
    io,
  );
  return { exit, out: io.out(), err: io.err() };
}

describe('runProgram()', () => {
  it.each([
    [['gone'], "unknown command 'gone'"],
    [['go', '--nope'], "unknown option '--nope'"],
    [['go', '--size'], "option '--size <n>' argument missing"],
    [['go', 'surplus'], "too many arguments for 'go'. Expected 0 arguments but got 1"],
    [[], 'a command is missing'],
  ])('answers %j with exit 2 and one line', async (argv, message) => {
    const { exit, out, err } = await outcome(argv, async () => undefined);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toBe(`prog: error: ${message}\nprog: hint: see --help\n`);
  });

  it('tells a failure with its hint and exit code', async () => {
    const action = async () => {
      throw new LatchkeyError('too_bad', 'it is too bad', { exit: 3, hint: 'do better' });
    };
    expect(await outcome(['go'], action)).toEqual({
      exit: 3,
      out: '',
      err: 'prog: error: it is too bad\nprog: hint: do better\n',
    });
    const asJson = await outcome(['go', '--json'], action);
    expect(JSON.parse(asJson.out)).toEqual({ error: { code: 'too_bad', message: 'it is too bad', hint: 'do better' } });
  });

  it('keeps the words of a foreign error to itself unless asked to debug', async () => {
    const action = async () => {
      throw new Error('canary');
    };
    expect((await outcome(['go'], action)).err).not.toContain('canary');
    const debugged = await outcome(['go'], action, { LATCHKEY_DEBUG: '1' });
    expect([debugged.exit, debugged.err.includes('canary')]).toEqual([1, true]);
  });

  it('shows help on stdout with exit 0', async () => {
    const { exit, out } = await outcome(['--help'], async () => undefined);
    expect([exit, out.startsWith('Usage: prog')]).toEqual([0, true]);
  });
});

describe('a reader that has seen enough', () => {
  it('is no error of the program', async () => {
    const module = new URL('../../platform/command-line.ts', import.meta.url).pathname;
    const script = `
      import { runProgram } from ${JSON.stringify(module)};
      const { stdin, stdout, stderr, env } = process;
      const rows = (program) => program.command('rows').action(async () => {
        for (let row = 0; row < 200; row++) {
          stdout.write('a row of many\\n'.repeat(1000));
          await new Promise((done) => setImmediate(done));
        }
      });
      process.exitCode = await runProgram('prog', rows, ['rows'], { stdin, stdout, stderr, env });`;
    const argv = ['sh', '-c', '{ "$1" --input-type=module -e "$2"; echo "exit $?" >&2; } | head -n 1', 'sh'] as const;
    const { stdout, stderr } = await run([...argv, process.execPath, script], { timeoutMs: 20_000 });
    expect([stdout.toString('utf8'), stderr.replace(/^.*Warning.*\n/gm, '')]).toEqual(['a row of many\n', 'exit 0\n']);
  });
});

describe('what went wrong', () => {
  it('does not steer the terminal, though another machine may have worded it', async () => {
    const { err } = await outcome(['go'], async () => {
      throw new LatchkeyError('odd', 'server: \u001b]0;x\u0007no', { hint: '\u001b[8mrun it\r' });
    });
    expect(err).toBe('prog: error: server: ?]0;x?no\nprog: hint: ?[8mrun it?\n');
  });
});

describe('askSecret()', () => {
  it('refuses where nobody can answer', async () => {
    const io = terminal();
    expect(() => askSecret(io, 'passphrase', 'use --passphrase-file')).toThrow(
      expect.objectContaining({ code: 'no_terminal', exit: 2 }),
    );
  });
});

describe('printTable()', () => {
  it('aligns columns and leaves no trailing space', () => {
    const io = terminal();
    printTable(
      io,
      ['id', 'name'],
      [
        ['1', 'long name'],
        ['22', ''],
      ],
    );
    expect(io.out()).toBe('id  name\n1   long name\n22\n');
  });
});
