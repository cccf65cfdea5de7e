import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, resolve } from 'node:path';
import { openServerData } from '../../keyserver/server-data.ts';
import { verifyAudit } from '../../platform/audit-chain.ts';
import { printTable } from '../../platform/command-line.ts';
import { hasProgram } from '../harness/programs.ts';
import { type MadeServer, makeServer, masterKeyId } from '../keyserver/made-server.ts';
import { gateCosts } from './gate-costs.ts';

interface Figures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const project = resolve(import.meta.dirname, '..', '..');
const node = ['--disable-warning=ExperimentalWarning'];
const unlimited = { ratePerHour: 1_000_000_000, burst: 1_000_000, lockout: false };

/** What 64 clients are to get a second, all together, with nobody waiting long. */
const aimedPace = 2_500;

/**
 * `npm run bench -- keyserver`: a real server process with TLS, every gate and durable audit, and a load client in another
 * process on the same machine; then the naive design, a Python http.server that only compares a token.
 */
export async function benchKeyserver(json: boolean): Promise<void> {
  say(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, node ${process.version}`);
  const one = await exchanges({ clients: 1, warmUp: 200, count: 3_000 });
  const anew = await exchanges({ clients: 1, warmUp: 100, count: 1_000, keepAlive: false });
  const plain = await exchanges({ clients: 1, warmUp: 200, count: 3_000, certificates: false });
  const paced = await exchanges({ clients: 64, warmUp: 20_000, count: 25_000, pace: aimedPace });
  const manyAnew = await exchanges({ clients: 64, warmUp: 640, count: 6_400, keepAlive: false });
  const many = await exchanges({ clients: 64, warmUp: 2_000, count: 100_000 });
  const gates = gateCosts();
  const naive = hasProgram('python3')
    ? { one: await naiveDesign(1, 3_000), many: await naiveDesign(64, 20_000) }
    : null;
  if (json) {
    process.stdout.write(`${JSON.stringify({ one, anew, plain, paced, manyAnew, many, naive, gates })}\n`);
    return;
  }
  const row = (name: string, { perSecond, p50, p99, max }: Figures) => [
    name,
    perSecond.toFixed(0),
    p50.toFixed(2),
    p99.toFixed(2),
    max.toFixed(1),
  ];
  const rows = [
    row('exchange (open + release), 1 client', one),
    row('the same without client certificates', plain),
    row('the same, a new connection for each exchange', anew),
    row(`exchange, 64 clients, ${aimedPace} asked for a second`, paced),
    row('exchange, 64 clients, as many as it gives', many),
    row('the same, a new connection for each exchange', manyAnew),
  ];
  if (naive !== null) {
    rows.push(row('naive Python request, 1 client', naive.one), row('naive Python request, 64 clients', naive.many));
  }
  printTable(process, ['what', 'per second', 'p50 ms', 'p99 ms', 'max ms'], rows);
  const { before, half, after } = many.memory;
  say(`server memory: ${before} MiB at start, ${half} MiB half-way, ${after} MiB after ${many.releases} releases`);
  say(`audit verify: ok, ${many.records} records`);
  const cost = Object.entries(gates).map(([name, nanoseconds]) => `${name} ${nanoseconds}`);
  say(`a gate's decision, nanoseconds: ${cost.join(', ')}`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** One run; what is not said is as a careful owner has it: certificates, connections kept. */
interface Run {
  readonly clients: number;
  readonly warmUp: number;
  readonly count: number;
  readonly pace?: number;
  readonly keepAlive?: boolean;
  readonly certificates?: boolean;
}

async function exchanges({ clients, warmUp, count, pace, keepAlive = true, certificates = true }: Run) {
  const made = await makeServer({ clients, policy: unlimited, certificates });
  const { launcher, pid } = await startServer(made);
  try {
    const before = residentMiB(pid);
    const order = {
      port: made.port,
      ca: made.ca,
      keyId: masterKeyId,
      clients: made.clients,
      warmUp,
      exchanges: count,
      pace: pace ?? null,
      keepAlive,
    };
    const samples: number[] = [];
    const timer = setInterval(() => samples.push(residentMiB(pid)), 500);
    const figures = await load('exchange-load.ts', order);
    clearInterval(timer);
    const after = residentMiB(pid);
    const half = samples[Math.floor(samples.length / 2)] ?? after;
    await stop(launcher);
    const data = await openServerData(made.data);
    const { records } = await data.store.read((tx) => verifyAudit(tx, data.auditKey));
    await data.store.close();
    return { ...figures, releases: warmUp + count, records, memory: { before, half, after } };
  } finally {
    await stop(launcher);
    rmSync(dirname(made.data), { recursive: true, force: true });
  }
}

/** A server process and, as the launcher stands between, its own process id. */
interface Started {
  readonly launcher: ChildProcess;
  readonly pid: number;
}

async function startServer(made: MadeServer): Promise<Started> {
  const argv = [
    resolve(project, 'platform/launch.mjs'),
    'keyserver/main.ts',
    'start',
    '--data',
    made.data,
    '--keyfile',
    made.keyfile,
    '--json',
  ];
  const launcher = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const { pid } = JSON.parse(await firstLine(launcher)) as { pid: number };
  return { launcher, pid };
}

async function naiveDesign(connections: number, requests: number): Promise<Figures> {
  const token = 'n'.repeat(43);
  const server = spawn('python3', [resolve(import.meta.dirname, 'naive.py'), token], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    server.stdin.end(JSON.stringify({ key: Buffer.alloc(3400, 1).toString('base64') }));
    const port = Number(await firstLine(server));
    return await load('naive-load.ts', { port, token, connections, requests });
  } finally {
    await stop(server);
  }
}

/** Runs a load client with its order on stdin; what it prints is the result. */
async function load(file: string, order: unknown): Promise<Figures> {
  const client = spawn(process.execPath, [...node, resolve(import.meta.dirname, file)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  client.stdin.end(JSON.stringify(order));
  return JSON.parse(await firstLine(client)) as Figures;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((done, failed) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) done(text.slice(0, text.indexOf('\n')));
    });
    child.once('exit', (code) => failed(new Error(`a process of the benchmark ended early: exit ${code}`)));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await gone;
}

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
