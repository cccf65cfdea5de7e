import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { printJson, runProgram, type Terminal } from '../platform/command-line.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { programVersion } from '../platform/program-place.ts';
import { run } from '../platform/run.ts';
import { installText, releaseFiles } from './release-files.ts';
import { writeTarball } from './tarball.ts';

interface PackageOptions {
  readonly out: string;
  readonly withNode?: boolean;
  readonly uncommitted?: boolean;
  readonly json?: boolean;
}

const root = resolve(import.meta.dirname, '..');
const terminal: Terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };

async function git(...words: readonly string[]): Promise<string | null> {
  try {
    return (await run(['git', '-C', root, ...words], { timeoutMs: 30_000 })).stdout.toString('utf8').trim();
  } catch {
    return null; // not a clone, or no git
  }
}

/** Unix seconds: what the environment says (reproducible-builds.org), else the commit's. */
async function releaseTime(): Promise<number> {
  const said = terminal.env.SOURCE_DATE_EPOCH ?? (await git('log', '-1', '--format=%ct'));
  if (said !== null && /^[0-9]{1,10}$/.test(said)) return Number(said);
  throw new LatchkeyError('invalid_request', '"SOURCE_DATE_EPOCH" must be a time in seconds, where no commit has one', {
    exit: 2,
  });
}

async function refuseUncommitted(): Promise<void> {
  const changed = (await git('status', '--porcelain')) ?? '';
  if (changed === '') return;
  throw new LatchkeyError('uncommitted', `${changed.split('\n').length} files here are not as they were committed`, {
    exit: 3,
    hint: 'git status names them: commit them or move them away, or say --uncommitted where the release is for nobody else',
  });
}

/** The Node that the lockfile pins, for the platform of this machine. */
function ownNode(): { readonly binary: string; readonly license: string } {
  const folder = join(root, 'node_modules/node');
  const platform = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  return {
    binary: join(folder, 'bin/node'),
    license: join(folder, 'node_modules', platform, 'LICENSE'),
  };
}

async function makeRelease(options: PackageOptions): Promise<void> {
  if (options.uncommitted !== true) await refuseUncommitted();
  const time = await releaseTime();
  const version = programVersion();
  const node = options.withNode === true ? ownNode() : null;
  const files = releaseFiles({ root, version, time, node });
  const name = `latchkey-${version}${node === null ? '' : `-${process.platform}-${process.arch}`}.tar.gz`;
  const out = resolve(options.out);
  mkdirSync(out, { recursive: true });
  const path = join(out, name);
  const unfinished = `${path}.${process.pid}`;
  try {
    await writeTarball(unfinished, `latchkey-${version}`, files, time);
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { force: true });
  }
  const installer = join(out, 'install.sh');
  writeFileSync(installer, installText(root), { mode: 0o755 });
  const sha256 = sha256Of(path);
  writeFileSync(join(out, `${name}.sha256`), `${sha256}  ${name}\n`);
  if (options.json === true) printJson(terminal, { path, sha256, version, files: files.size });
  else terminal.stdout.write(`${path}\n`);
}

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

process.exitCode = await runProgram(
  'package',
  (program: Command) => {
    program
      .description('makes a release: one archive with everything but Node in it')
      .option('--out <dir>', 'where it goes', join(root, 'dist'))
      .option('--with-node', 'with the Node of this platform in it')
      .option('--uncommitted', 'of the files as they are, committed or not')
      .option('--json', 'for programs')
      .action(makeRelease);
  },
  process.argv.slice(2),
  terminal,
);
