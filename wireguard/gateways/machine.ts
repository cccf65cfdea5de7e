import { cpus, freemem, loadavg, totalmem } from 'node:os';

/** What the system tells of itself at one moment. */
export interface MachineState {
  readonly cores: number;
  /** Milliseconds that all cores together have worked, and have been there, since the start of the machine. */
  readonly busy: number;
  readonly all: number;
  /** Bytes; available is what programs could still have. */
  readonly memoryTotal: number;
  readonly memoryAvailable: number;
  /** Of the last 1, 5 and 15 minutes. */
  readonly load: readonly number[];
}

export function readMachine(): MachineState {
  const cores = cpus();
  const times = cores.map(({ times: { user, nice, sys, idle, irq } }) => ({
    idle,
    all: user + nice + sys + idle + irq,
  }));
  const all = times.reduce((sum, one) => sum + one.all, 0);
  const idle = times.reduce((sum, one) => sum + one.idle, 0);
  return {
    cores: cores.length,
    busy: all - idle,
    all,
    memoryTotal: totalmem(),
    memoryAvailable: freemem(),
    load: loadavg(),
  };
}

export interface MachineReport {
  readonly cpu: { readonly cores: number; readonly usage: number };
  readonly memory: { readonly total: number; readonly available: number; readonly used: number };
  readonly load: readonly number[];
}

/** Shorter than this a use of the processor says nothing, ms of each core. */
const SHORTEST_MS = 1000;

/** How busy this machine is; the use of its processor is since it was asked before, of a second at the least. */
export class MachineGauge {
  readonly #read: () => MachineState;
  #before: MachineState;
  #usage = 0;

  constructor(read: () => MachineState = readMachine) {
    this.#read = read;
    this.#before = read();
  }

  report(): MachineReport {
    const now = this.#read();
    const all = now.all - this.#before.all;
    if (all >= SHORTEST_MS * Math.max(1, now.cores)) {
      this.#usage = Math.min(1, Math.max(0, (now.busy - this.#before.busy) / all));
      this.#before = now;
    }
    const { cores, memoryTotal: total, memoryAvailable: available, load } = now;
    return {
      cpu: { cores, usage: rounded(this.#usage, 3) },
      memory: { total, available, used: total - available },
      load: load.map((value) => rounded(value, 2)),
    };
  }
}

function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
