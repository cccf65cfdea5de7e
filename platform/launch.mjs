#!/usr/bin/env node
// Starts a program of this project on the Node that the project pins, whatever Node the machine has (20 or newer).
// Installs the dependencies first when they are missing or no longer match the lockfile.
// Plain JavaScript without dependencies, because it runs before there are any.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.latchkey-installed');
const lock = join(root, '.latchkey-installing');
const pinnedNode = join(modules, '.bin', 'node');
const programs = {
  keyserver: 'keyserver/main.ts',
  ncpatch: 'patcher/main.ts',
  wghub: 'wireguard/main.ts',
  wgnode: 'wireguard/node/main.ts',
};

let holdsLock = false;

/** @param {string} message @returns {never} */
function fail(message) {
  if (holdsLock) rmSync(lock, { force: true });
  process.stderr.write(`latchkey: error: ${message}\n`);
  process.exit(1);
}

/** What was asked for: the lockfile tells it whole, and a new script in package.json is no reason to install anew. */
function wanted() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

function isInstalled() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted();
}

/** The pinned Node; where npm has no binary of it for this platform, the system's own, if it is of the same line. */
function runtime() {
  if (existsSync(pinnedNode)) return pinnedNode;
  if (process.versions.node.startsWith('24.')) return process.execPath;
  return fail('the package "node" has no binary for this platform: install Node 24 and try again');
}

/** Waits for another process that installs at this moment; the lock of one that is gone is nobody's. */
function takeLock() {
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      holdsLock = true;
      return;
    } catch {
      if (isAbandoned()) rmSync(lock, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    }
  }
}

function isAbandoned() {
  try {
    const holder = Number(readFileSync(lock, 'utf8'));
    if (holder > 0) process.kill(holder, 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

function install() {
  takeLock();
  if (!isInstalled()) {
    process.stderr.write('latchkey: installing dependencies (once per version)\n');
    const npm = process.env.npm_execpath;
    const argv = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
    const options = { cwd: root, stdio: /** @type {['ignore', 2, 2]} */ (['ignore', 2, 2]) };
    /** @param {readonly string[]} more */
    const ran = (more) =>
      npm?.endsWith('.js')
        ? spawnSync(process.execPath, [npm, ...argv, ...more], options)
        : spawnSync('npm', [...argv, ...more], options);
    let done = ran([]);
    if (done.status !== 0 && process.versions.node.startsWith('24.')) done = ran(['--ignore-scripts']);
    if (done.status !== 0) fail('"npm ci" did not finish; its output is above');
    runtime();
    writeFileSync(stamp, wanted());
  }
  rmSync(lock, { force: true });
  holdsLock = false;
}

if (!existsSync(join(root, 'package-lock.json'))) fail('"package-lock.json" is missing: the clone is not whole');
if (!isInstalled()) install();

const invokedAs = basename(process.argv[1] ?? '');
const asProgram = programs[/** @type {keyof typeof programs} */ (invokedAs)];
const [first, ...rest] = asProgram === undefined ? process.argv.slice(2) : [asProgram, ...process.argv.slice(2)];
if (first === undefined) fail('launch.mjs needs a file of the project to run');

// a server answers small requests for months: without a bound V8 lets old garbage pile up to several times what is in use;
// the young half is given room, so that requests under way do not grow old in it. A hub has as many peers as it has, so that
// only its young half is bounded
const heaps = {
  'keyserver/main.ts': ['--max-semi-space-size=8', '--max-old-space-size=64'],
  'wireguard/main.ts': ['--max-semi-space-size=8'],
};
const heap = heaps[/** @type {keyof typeof heaps} */ (first)];
let argv = ['--disable-warning=ExperimentalWarning', ...(heap ?? []), join(root, first), ...rest];
if (first === '--tool') {
  const [tool, ...toolArguments] = rest;
  const bin = { biome: '@biomejs/biome/bin/biome', tsc: 'typescript/bin/tsc', vitest: 'vitest/vitest.mjs' }[tool ?? ''];
  if (bin === undefined) fail('"--tool" must be biome, tsc or vitest');
  argv = [join(modules, bin), ...toolArguments];
}

// what was compiled once, types stripped, is kept: programs start faster, and the stripper is not loaded (18 MiB less)
const compiled = join(root, '.cache', 'compiled'); // not in node_modules: npm could not empty that while a server runs
// and with one arena glibc keeps less of what was given back
const memory = heap === undefined ? {} : { MALLOC_ARENA_MAX: '1' };
const env = { NODE_COMPILE_CACHE: compiled, ...memory, ...process.env };
const child = spawn(runtime(), argv, { stdio: 'inherit', env });
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
  process.on(signal, () => child.kill(signal));
child.on('error', (error) =>
  fail(`the pinned Node could not be started (${/** @type {NodeJS.ErrnoException} */ (error).code})`),
);
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
