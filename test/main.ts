import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { preparePackages } from './harness/packages.ts';
import { hasProgram } from './harness/programs.ts';
import { type Count, VitestReport } from './harness/vitest-report.ts';

const root = resolve(import.meta.dirname, '..');
const modules = join(root, 'node_modules');
/** The app and the client of the hub: one style for both. */
const phpSources = ['php-app/lib', 'php-app/bin', 'php-app/templates', 'wireguard/clients/php'];
const oneFailed: Count = { passed: 0, failed: 1, skipped: 0 };
const onePassed: Count = { passed: 1, failed: 0, skipped: 0 };

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Runs a step in the foreground with its output shown; the exit code. */
function show(command: string, argv: readonly string[]): Promise<number> {
  return new Promise((done) => {
    const child = spawn(command, argv, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => done(127));
    child.on('exit', (code) => done(code ?? 1));
  });
}

/** Runs a step beside others: its output is shown in one piece when it has ended. */
function showAtItsEnd(name: string, command: string, argv: readonly string[]): Promise<number> {
  return new Promise((done) => {
    const child = spawn(command, argv, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const said: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk));
    child.on('error', () => done(127));
    child.on('close', (code) => {
      say(`\n== ${name}\n${Buffer.concat(said).toString('utf8')}`);
      done(code ?? 1);
    });
  });
}

async function byExitCode(name: string, command: string, argv: readonly string[]): Promise<Count> {
  return (await showAtItsEnd(name, command, argv)) === 0 ? onePassed : oneFailed;
}

/** What reads the sources and runs nothing of them: beside the tests, which wait often. */
async function readSources(): Promise<Count[]> {
  const biome = ['check', '--config-path=test/lint/rules.json', '--error-on-warnings', '.'];
  return [
    await byExitCode('lint', process.execPath, [join(modules, '@biomejs/biome/bin/biome'), ...biome]),
    await byExitCode('types', process.execPath, [join(modules, 'typescript/bin/tsc'), '--noEmit', '-p', '.']),
    hasProgram('phpcs')
      ? await byExitCode('php style', 'phpcs', ['--standard=php-app/phpcs.xml', '-q', ...phpSources])
      : skipped('php style', 'phpcs is not installed'),
  ];
}

/** Runs tests; `null` when there was not even a report. */
async function vitest(report: string, words: readonly string[]): Promise<VitestReport | null> {
  const argv = ['run', '--config', 'test/vitest.config.ts', '--reporter=default', '--reporter=json'];
  const program = join(modules, 'vitest/vitest.mjs');
  await show(process.execPath, [program, ...argv, `--outputFile.json=${report}`, ...words]);
  return existsSync(report) ? VitestReport.read(readFileSync(report, 'utf8')) : null;
}

async function tests(reports: string, files: readonly string[]): Promise<VitestReport | null> {
  say('\n== tests');
  return vitest(join(reports, 'vitest.json'), files);
}

/** Files that are run a second time at the most: more than that is no accident. */
const SECOND_RUNS = 4;

/**
 * Live tests wait for other programs, and a machine that does four things at once may be late with one. What failed beside the others
 * is run once more alone, and named whatever comes of it; a defect fails twice.
 */
async function runAgainAlone(reports: string, first: VitestReport): Promise<VitestReport> {
  const files = first.failedFiles();
  if (files.length === 0 || files.length > SECOND_RUNS) return first;
  say(`\n== once more, alone\n${first.failures().join('\n')}`);
  return first.with((await vitest(join(reports, 'again.json'), ['--maxWorkers=1', ...files])) ?? first);
}

/** Waits more than it works, so it runs beside the other tests. */
async function phpunit(reports: string): Promise<Count> {
  const report = join(reports, 'phpunit.xml');
  const argv = ['--configuration', 'test/php-app/phpunit.xml', '--log-junit', report];
  const exit = await showAtItsEnd('php tests', 'phpunit', argv);
  const suite = existsSync(report) ? /<testsuite [^>]*>/.exec(readFileSync(report, 'utf8'))?.[0] : undefined;
  const number = (name: string): number => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite ?? '')?.[1] ?? 0);
  const failed = number('failures') + number('errors');
  if (suite === undefined || (exit !== 0 && failed === 0)) return oneFailed;
  return { passed: number('tests') - failed - number('skipped'), failed, skipped: number('skipped') };
}

function skipped(name: string, why: string): Count {
  say(`\n== ${name}: skipped, ${why}`);
  return { passed: 0, failed: 0, skipped: 1 };
}

function ofTests(report: VitestReport | null): Count {
  if (report === null) return oneFailed;
  for (const failure of report.failures()) say(`failed: ${failure}`);
  return report.count();
}

/** Arguments are file filters for the tests alone: `npm test -- test/keyserver` leaves out lint, types and PHP. */
async function suite(files: readonly string[]): Promise<Count> {
  const reports = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  try {
    if (files.length > 0) return ofTests(await tests(reports, files));
    const { words } = await preparePackages(say);
    if (words !== null) say(words);
    const [sources, php, first] = await Promise.all([
      readSources(),
      hasProgram('phpunit') ? phpunit(reports) : skipped('php tests', 'phpunit is not installed'),
      tests(reports, []),
    ]);
    const report = first === null ? null : await runAgainAlone(reports, first);
    return [...sources, php, ofTests(report)].reduce((sum, count) => ({
      passed: sum.passed + count.passed,
      failed: sum.failed + count.failed,
      skipped: sum.skipped + count.skipped,
    }));
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
}

const total = await suite(process.argv.slice(2));
say(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
