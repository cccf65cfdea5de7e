import { randomBytes } from 'node:crypto';
import type { Facts } from '../../patcher/facts.ts';
import type { JournalDeps } from '../../patcher/journal/transaction.ts';
import { openInstance } from '../../patcher/targets/instance-choice.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import type { Workplace } from '../../patcher/workplace.ts';
import type { CuttableLine, TestSshd } from '../harness/sshd.ts';
import { type CutPoint, openCutTransport } from './cut-transport.ts';

/** A Nextcloud that can be put back to how it was. */
export interface Resettable {
  readonly root: string;
  readonly instanceId: string;
  reset(): void;
  /** Unlike before when anything was changed that ncpatch may change, its journal included. */
  fingerprint(): string;
}

/** What an undisturbed run did. */
export interface Undisturbed {
  /** The last words of each remote command. */
  readonly commands: readonly string[];
  /** Which of them left something changed. */
  readonly changing: ReadonlySet<number>;
  readonly facts: readonly Facts[];
}

/** Does something to one Nextcloud over and over, and has it go wrong at another remote command each time. */
export class CutSweep {
  readonly deps: JournalDeps = {
    progress: { step: () => undefined, note: () => undefined },
    by: { user: 'test', machine: 'test', pid: process.pid },
    now: Date.now,
    random: randomBytes,
    takeOver: false,
  };
  readonly #sshd: TestSshd;
  readonly #line: CuttableLine;
  readonly #nextcloud: Resettable;
  readonly #whole: Transport;
  readonly #looks: boolean;
  #now: Transport;
  #place: Workplace | null = null;

  /** With `looks` the commands that only collect facts count too; otherwise facts are those of the undisturbed run. */
  static async open(
    sshd: TestSshd,
    line: CuttableLine,
    nextcloud: Resettable,
    options: { readonly looks: boolean },
  ): Promise<CutSweep> {
    const { transport } = await openCutTransport(sshd, { port: sshd.port, cut: () => undefined }, null);
    return new CutSweep(sshd, line, nextcloud, transport, options.looks);
  }

  private constructor(sshd: TestSshd, line: CuttableLine, nextcloud: Resettable, whole: Transport, looks: boolean) {
    this.#sshd = sshd;
    this.#line = line;
    this.#nextcloud = nextcloud;
    this.#whole = whole;
    this.#now = whole;
    this.#looks = looks;
  }

  /** On a connection that holds. */
  async undisturbed<T>(work: (place: Workplace) => Promise<T>): Promise<T> {
    return work(await this.#open());
  }

  /** Commands of an undisturbed run of `work`, after which all is put back. */
  async count(work: (place: Workplace) => Promise<unknown>): Promise<Undisturbed> {
    const changing = new Set<number>();
    let seen = this.#nextcloud.fingerprint();
    const { transport, sent } = await openCutTransport(this.#sshd, this.#line, null, (n) => {
      const now = this.#nextcloud.fingerprint();
      if (now !== seen) changing.add(n);
      seen = now;
    });
    const place = await this.#open();
    const facts: Facts[] = [];
    this.#now = transport;
    const quietly = async (): Promise<Facts> => {
      this.#now = this.#looks ? transport : this.#whole;
      const found = await place.facts();
      this.#now = transport;
      facts.push(found);
      return found;
    };
    try {
      await work({ ...place, facts: quietly });
      return { commands: [...sent], changing, facts };
    } finally {
      await transport.close();
      this.#now = this.#whole;
      this.#nextcloud.reset();
    }
  }

  /** One disturbed run; what it threw, or null where it came to its end all the same. */
  async disturb(
    work: (place: Workplace) => Promise<unknown>,
    cut: CutPoint,
    facts: readonly Facts[],
  ): Promise<unknown> {
    const place = await this.#open();
    const { transport } = await openCutTransport(this.#sshd, this.#line, cut);
    this.#now = transport;
    let call = 0;
    const remembered = async (): Promise<Facts> => facts[call++] ?? place.facts();
    try {
      await work(this.#looks ? place : { ...place, facts: remembered });
      return null;
    } catch (error) {
      return error;
    } finally {
      await transport.close();
      this.#now = this.#whole;
    }
  }

  async close(): Promise<void> {
    await this.#whole.close();
  }

  /** Looked for once: its transport is whichever is in use. */
  async #open(): Promise<Workplace> {
    if (this.#place !== null) return this.#place;
    const transport = new Proxy({} as Transport, {
      get: (_, name) => {
        const value: unknown = Reflect.get(this.#now, name);
        return typeof value === 'function' ? value.bind(this.#now) : value;
      },
    });
    const { root, instanceId } = this.#nextcloud;
    const { target, instance } = await openInstance(transport, { root });
    this.#place = {
      instance,
      instanceId: async () => instanceId,
      facts: () => target.facts(instance),
      close: async () => undefined,
    };
    return this.#place;
  }
}
