import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { run } from '../../../platform/run.ts';

const PLACE = fileURLToPath(new URL('../../../patcher/commands/interrupted.ts', import.meta.url));
const PROGRAM = `
const { toldWhenInterrupted } = await import(process.argv[1]);
await toldWhenInterrupted(process, () => process.stdout.write('told'), async () => process.argv[2] === 'well');
if (process.argv[2] !== 'well') {
  await toldWhenInterrupted(process, () => process.stdout.write('told'), () => new Promise((done) => {
    setTimeout(done, 60_000);
    process.kill(process.pid, 'SIGINT');
  }));
}
process.stdout.write('ended');
`;

test('who is interrupted is told once, and the command ends by the signal', async () => {
  const told = (how: string) =>
    run(
      ['sh', '-c', '"$@"; echo " exit $?"', 'sh', process.execPath, '--input-type=module', '-e', PROGRAM, PLACE, how],
      {
        timeoutMs: 30_000,
      },
    );
  expect((await told('interrupted')).stdout.toString('utf8')).toMatch(/^told exit 130$/m);
  expect((await told('well')).stdout.toString('utf8')).toMatch(/^ended exit 0$/m);
});
