import { describe, expect, it } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';

const node = process.execPath;
const script = (text: string): [string, ...string[]] => [node, '-e', text];

async function failure(promise: Promise<unknown>): Promise<LatchkeyError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof LatchkeyError) return error;
  throw new Error('did not fail as one of ours');
}

describe('run()', () => {
  it('names a missing program', async () => {
    expect(await failure(run(['/nowhere/program', 'canary'], { timeoutMs: 1000 }))).toMatchObject({
      code: 'command_missing',
    });
  });
  it('tells the exit code and never the arguments', async () => {
    const error = await failure(run(script('process.exit(7) // canary'), { timeoutMs: 5000 }));
    expect(error).toMatchObject({ code: 'command_failed', extra: { exit: 7 } });
    expect(error.message).not.toContain('canary');
  });
  it('ends a program at its deadline', async () => {
    const error = await failure(run(script('setInterval(() => {}, 1000)'), { timeoutMs: 300 }));
    expect(error.code).toBe('command_timeout');
  });
  it('does not wait beyond its deadline for what a program left behind with its output in hand', async () => {
    const left = 'sleep 20 & exit 0';
    const error = await Promise.race([
      failure(run(['sh', '-c', left], { timeoutMs: 300 })),
      new Promise<string>((resolve) => void setTimeout(resolve, 10_000, 'still waiting').unref()),
    ]);
    expect(error).toMatchObject({ code: 'command_timeout' });
  });
  it('ends at its deadline a program whose children hold its output', async () => {
    const error = await Promise.race([
      failure(run(['sh', '-c', 'sleep 20; true'], { timeoutMs: 300 })),
      new Promise<string>((resolve) => void setTimeout(resolve, 10_000, 'still waiting').unref()),
    ]);
    expect(error).toMatchObject({ code: 'command_timeout' });
  });
  it('tells what is written to standard error as it comes', async () => {
    const heard: string[] = [];
    await run(['sh', '-c', 'echo one >&2; echo two'], {
      timeoutMs: 5000,
      onStderr: (text) => heard.push(String(text)),
    });
    expect(heard.join('')).toBe('one\n');
  });
  it('ends a program that writes without end', async () => {
    const error = await failure(
      run(script('for (;;) process.stdout.write("x".repeat(65536))'), { timeoutMs: 20_000, maxBytes: 100_000 }),
    );
    expect(error.code).toBe('command_too_loud');
  });
  it('gives arguments as they are, without a shell', async () => {
    const argument = `$(touch /tmp/x); 'a' "b" \\ *`;
    const result = await run([node, '-e', 'process.stdout.write(process.argv[1])', argument], { timeoutMs: 5000 });
    expect(result.stdout.toString()).toBe(argument);
  });
  it('hands over input, and bears a program that does not read it', async () => {
    const echoed = await run(script('process.stdin.pipe(process.stdout)'), { input: 'through stdin', timeoutMs: 5000 });
    expect(echoed.stdout.toString()).toBe('through stdin');
    await expect(
      run(script('process.exit(0)'), { input: 'x'.repeat(1_000_000), timeoutMs: 5000 }),
    ).resolves.toMatchObject({ exit: 0 });
  });
  it('takes an allowed exit code as an answer', async () => {
    await expect(run(script('process.exit(3)'), { timeoutMs: 5000, allowExit: [3] })).resolves.toMatchObject({
      exit: 3,
    });
    expect((await failure(run(script('process.exit(4)'), { timeoutMs: 5000, allowExit: [3] }))).code).toBe(
      'command_failed',
    );
  });
});
