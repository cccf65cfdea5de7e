import { spawn } from 'node:child_process';
import { projectProgram } from '../harness/keyserver-process.ts';

export interface NcpatchRun {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the real program; with `killAt` it gets SIGKILL some time after it has told its n-th step, counted from 1, or
 * `instead` of that something else is done to it.
 */
export function runNcpatch(
  argv: readonly string[],
  options: {
    readonly killAt?: number;
    readonly afterMs?: number;
    readonly instead?: () => void;
    readonly input?: string;
  } = {},
): Promise<NcpatchRun> {
  const [program, ...first] = projectProgram('patcher/main.ts');
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...argv], { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let isAimed = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      const steps = stderr.split('[#] ').length - 1;
      if (options.killAt === undefined || steps < options.killAt || isAimed) return;
      isAimed = true;
      setTimeout(options.instead ?? (() => child.kill('SIGKILL')), options.afterMs ?? 0);
    });
    child.on('error', reject);
    child.on('close', (exit) => resolve({ exit, stdout, stderr }));
    child.stdin.on('error', () => undefined).end(options.input ?? '');
  });
}
