import { benchKeyserver } from './keyserver.ts';

const usage = 'usage: npm run bench -- keyserver|nextcloud [--json]\n';

async function benchmark(name: string | undefined): Promise<((json: boolean) => Promise<void>) | null> {
  if (name === 'keyserver') return benchKeyserver;
  if (name !== 'nextcloud') return null;
  const file = './nextcloud.ts'; // a real Nextcloud has to be there for it; nothing of it is loaded otherwise
  return ((await import(file)) as { benchNextcloud: (json: boolean) => Promise<void> }).benchNextcloud;
}

const [name, ...options] = process.argv.slice(2);
const run = await benchmark(name);
if (run === null || options.some((option) => option !== '--json')) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  await run(options.includes('--json'));
}
