import { benchKeyserver } from './keyserver.ts';

const usage =
  'usage: npm run bench -- keyserver|nextcloud|audit|scrape|spokes [--json]\n       npm run bench -- wghub [--quick] [--json]\n';

/** Much has to be there for these; nothing of them is loaded otherwise. */
const loaded: Readonly<Record<string, readonly [file: string, bench: string]>> = {
  nextcloud: ['./nextcloud.ts', 'benchNextcloud'],
  audit: ['./audit.ts', 'benchAudit'],
  wghub: ['./wghub.ts', 'benchWghub'],
  spokes: ['./wghub-spokes.ts', 'benchSpokes'],
  scrape: ['./wghub-scrape.ts', 'benchScrape'],
};

type Benchmark = (json: boolean, isQuick: boolean) => Promise<void>;

async function benchmark(name: string | undefined): Promise<Benchmark | null> {
  if (name === 'keyserver') return benchKeyserver;
  const [file, bench] = loaded[name ?? ''] ?? [];
  if (file === undefined || bench === undefined) return null;
  return ((await import(file)) as Record<string, Benchmark>)[bench] ?? null;
}

const [name, ...options] = process.argv.slice(2);
const run = await benchmark(name);
const known = name === 'wghub' ? ['--json', '--quick'] : ['--json'];
if (run === null || options.some((option) => !known.includes(option))) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  await run(options.includes('--json'), options.includes('--quick'));
}
