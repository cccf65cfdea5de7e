import { benchKeyserver } from './keyserver.ts';

const usage = 'usage: npm run bench -- keyserver|nextcloud|audit [--json]\n';

/** A real Nextcloud has to be there for these; nothing of them is loaded otherwise. */
const onNextcloud: Readonly<Record<string, readonly [file: string, bench: string]>> = {
  nextcloud: ['./nextcloud.ts', 'benchNextcloud'],
  audit: ['./audit.ts', 'benchAudit'],
};

async function benchmark(name: string | undefined): Promise<((json: boolean) => Promise<void>) | null> {
  if (name === 'keyserver') return benchKeyserver;
  const [file, bench] = onNextcloud[name ?? ''] ?? [];
  if (file === undefined || bench === undefined) return null;
  return ((await import(file)) as Record<string, (json: boolean) => Promise<void>>)[bench] ?? null;
}

const [name, ...options] = process.argv.slice(2);
const run = await benchmark(name);
if (run === null || options.some((option) => option !== '--json')) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  await run(options.includes('--json'));
}
