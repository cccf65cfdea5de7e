import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startEnrolledServer } from '../attacks/enrolled-server.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { finished } from './disk-faults.ts';
import { type Fault, recoveryLimit } from './fault.ts';
import { Witness } from './witness.ts';

const policy = ['--rate', '360000/h', '--burst', '30000', '--lockout', 'off'];
const day = 86_400_000;

export const killed: Fault = {
  name: 'kill -9 at random moments',
  run: async (scene, { kills, timeLimit }) => {
    const made = await startEnrolledServer(scene, { policy });
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const until = Date.now() + timeLimit;
    let done = 0;
    let slowest = 0;
    for (; done < kills && Date.now() < until; done++) {
      await delay(Math.random() * 200);
      await made.server.kill();
      await made.server.start();
      slowest = Math.max(slowest, await witness.servedAgain(recoveryLimit));
    }
    const meanwhile = witness.answers();
    const report = await finished(witness, made.server, `killed and started ${done} times`, meanwhile);
    return { ...report, servedAgainMs: slowest };
  },
};

export const clockJumps: Fault = {
  name: 'clock jumps both ways',
  run: async (scene) => {
    const made = await startEnrolledServer(scene, { policy });
    await made.server.stop();
    const skewFile = join(scene.folder, 'skew');
    writeFileSync(skewFile, '0');
    const [node, quiet = ''] = projectProgram('keyserver/main.ts');
    const script = join(import.meta.dirname, '..', 'attacks', 'moved-clock-keyserver.ts');
    const argv = [
      node,
      quiet,
      script,
      skewFile,
      'start',
      '--data',
      made.data,
      '--keyfile',
      `${made.data}.keyfile`,
    ] as const;
    const server = await BackgroundProcess.start(argv, { readyWhen: /^serving /m });
    scene.row.add('key server with a moved clock', () => server.stop());
    const witness = new Witness(made);
    await witness.servedAgain(recoveryLimit);
    const said: string[] = [];
    let slowest = 0;
    for (const skew of [day, -day, 400 * day, 90_000, -90_000]) {
      writeFileSync(skewFile, String(skew));
      await delay(50);
      witness.answers();
      await delay(700);
      said.push(witness.answers());
      writeFileSync(skewFile, '0');
      slowest = Math.max(slowest, await witness.servedAgain(recoveryLimit));
    }
    const report = await finished(
      witness,
      server,
      'a day, 400 days and 90 s ahead, a day and 90 s back',
      said.join('; '),
    );
    return { ...report, servedAgainMs: slowest };
  },
};
