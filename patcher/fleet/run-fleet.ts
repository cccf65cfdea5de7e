import { isLatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { type Ending, type HostResult, judgeEnding } from './host-result.ts';
import type { Host } from './inventory.ts';

export interface FleetOrder {
  readonly hosts: readonly Host[];
  /** Name of the command, as in `watch status`. */
  readonly command: string;
  /** This program with the command, its options and `--json`, before what says which host. */
  readonly argv: readonly [string, ...string[]];
  /** How many hosts at a time. */
  readonly parallel: number;
  readonly deadlineMs: number;
  readonly now: () => number;
  /** Told each line that the command on a host says about its progress. */
  readonly onLine: (host: Host, line: string) => void;
}

/** A fleet-wide listing of hashes is large; more than this from one host is not one of ours. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Runs one command on each host, each in a process of its own, some at a time; what happens to one is nothing to the
 * others. Nobody is asked anything. Results in the order of the hosts.
 */
export async function runFleet(order: FleetOrder): Promise<HostResult[]> {
  const results = new Map<Host, HostResult>();
  const waiting = [...order.hosts];
  const work = async (): Promise<void> => {
    for (let host = waiting.shift(); host !== undefined; host = waiting.shift()) {
      results.set(host, await runOn(host, order));
    }
  };
  await Promise.all(Array.from({ length: Math.min(order.parallel, order.hosts.length) }, work));
  return order.hosts.flatMap((host) => results.get(host) ?? []);
}

async function runOn(host: Host, order: FleetOrder): Promise<HostResult> {
  const began = order.now();
  let saidWhy = false;
  const ending = await endingOf(host, order, (line) => {
    saidWhy ||= line.startsWith('ncpatch: error: ');
    order.onLine(host, line);
  });
  const result = judgeEnding(host.name, order.command, ending, order.now() - began);
  if (!saidWhy) order.onLine(host, `${result.outcome}: ${result.what}`);
  return result;
}

async function endingOf(host: Host, order: FleetOrder, onLine: (line: string) => void): Promise<Ending> {
  let rest = '';
  const listen = (chunk: Buffer): void => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  };
  try {
    const { exit, stdout } = await run([...order.argv, ...hostFlags(host)], {
      timeoutMs: order.deadlineMs,
      maxBytes: MAX_BYTES,
      allowExit: 'any',
      onStderr: listen,
    });
    return { exit, stdout: stdout.toString('utf8') };
  } catch (error) {
    if (isLatchkeyError(error, 'command_timeout')) return { late: true, afterMs: order.deadlineMs };
    if (!isLatchkeyError(error)) throw error;
    return { exit: 1, stdout: JSON.stringify({ error: { code: error.code, message: error.message } }) };
  }
}

/** Each as one word with its value, so that no value is taken for an option. */
export function hostFlags(host: Host): string[] {
  const values: readonly [flag: string, value: string | null][] = [
    ['--ssh', host.ssh],
    ['--identity', host.identity],
    ['--known-hosts', host.knownHosts],
    ['--accept-host-key', host.acceptHostKey],
    ['--root', host.root],
    ['--php', host.php],
    ['--container', host.container],
  ];
  return [
    ...(host.ssh === null ? ['--local'] : []),
    ...values.flatMap(([flag, value]) => (value === null ? [] : [`${flag}=${value}`])),
    ...(host.sudo ? ['--sudo'] : []),
  ];
}
