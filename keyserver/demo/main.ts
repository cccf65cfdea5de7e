import type { Command } from 'commander';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { runProgram, type Terminal } from '../../platform/command-line.ts';
import { nextSteps } from './next-steps.ts';
import { nextcloudScene } from './nextcloud.ts';
import { Stage } from './scene.ts';
import { startThrowAwayServer } from './throw-away-server.ts';
import { walkThrough } from './walk.ts';

interface DemoOptions {
  readonly json?: boolean;
  readonly once?: boolean;
  readonly nextcloud: boolean;
}

async function demo(options: DemoOptions, terminal: Terminal, stop: AbortSignal): Promise<void> {
  const stage = new Stage(terminal, options.json === true);
  stage.say('latchkey: the whole way of a key, on a server that is thrown away afterwards');
  const server = await startThrowAwayServer(systemClock, systemRandom);
  try {
    for await (const scene of walkThrough({ server, clock: systemClock, random: systemRandom })) {
      stage.show(scene);
      if (stop.aborted) return;
    }
    if (options.nextcloud) {
      const onWork = (what: string): void => stage.say(`    … ${what}`);
      const scene = await nextcloudScene({
        server,
        clock: systemClock,
        random: systemRandom,
        env: terminal.env,
        onWork,
      });
      if (stop.aborted) return;
      stage.show(scene);
    }
    stage.show(nextSteps(server));
    if (options.once === true) return;
    stage.say(`\nserving ${server.url} until Ctrl-C`);
    await new Promise<void>((resolve) => {
      const beat = setInterval(() => undefined, 60_000); // a signal alone does not keep a process alive
      stop.addEventListener('abort', () => resolve(), { once: true });
      stop.addEventListener('abort', () => clearInterval(beat), { once: true });
      if (stop.aborted) resolve();
    });
  } finally {
    await server.stop();
    stage.say(`\nstopped, ${server.folder} is gone`);
  }
}

process.umask(0o077);
const stop = new AbortController();
// not once: Ctrl-C reaches this process by its terminal and again through the launcher, and must not cut the stop short
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
process.stdout.on('error', () => stop.abort()); // nobody reads any more
const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };

process.exitCode = await runProgram(
  'latchkey',
  (program: Command) => {
    program
      .description('walks one key through a real key server, then keeps serving')
      .option('--json', 'one JSON document a line, one for each step; serves on like the other form')
      .option('--no-nextcloud', 'leave out the real Nextcloud, also where PHP and a release are there')
      .option('--once', 'end after the walk instead of serving on')
      .action((options: DemoOptions) => demo(options, terminal, stop.signal));
  },
  process.argv.slice(2),
  terminal,
);
