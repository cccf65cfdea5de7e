import { Agent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { openServerData } from '../../keyserver/server-data.ts';
import { auditHashAt, readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import { type EnrolledServer, holdsKey, keyId } from '../attacks/enrolled-server.ts';

interface Receipt {
  readonly seq: number;
  readonly hash: string;
}

/** How long the honest host waits between two exchanges, ms. */
const pause = 25;

/**
 * An honest host that asks for its key again and again, whatever happens to the server, notes what it is answered, and
 * afterwards holds its receipts against the audit log.
 */
export class Witness {
  readonly #made: EnrolledServer;
  readonly #answers: Map<string, number> = new Map();
  readonly #receipts: Receipt[] = [];
  readonly #wrong: string[] = [];
  #waiting: { readonly after: number; readonly tell: () => void }[] = [];
  #agent: Agent;
  #stopped = false;
  readonly #driving: Promise<void>;

  constructor(made: EnrolledServer) {
    this.#made = made;
    this.#agent = this.#line();
    this.#driving = this.#drive();
  }

  /** Milliseconds from now to the first key that an exchange begun after now brings. */
  async servedAgain(limit: number): Promise<number> {
    const after = performance.now();
    const served = new Promise<true>((resolve) => this.#waiting.push({ after, tell: () => resolve(true) }));
    const isServed = await Promise.race([served, delay(limit, false, { ref: false })]);
    if (!isServed) throw new Error(`an honest host was not served within ${limit / 1000} s: ${this.answers()}`);
    return Math.round(performance.now() - after);
  }

  /** What was answered so far, by kind, most frequent first; and forgets it. */
  answers(): string {
    const kinds = [...this.#answers].sort(([, a], [, b]) => b - a).map(([kind, count]) => `${count} × ${kind}`);
    this.#answers.clear();
    return kinds.join(', ') || 'nothing';
  }

  get releases(): number {
    return this.#receipts.length;
  }

  /** Ends the host's work; call before the server is stopped for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#driving;
    this.#agent.destroy();
  }

  /** With the server stopped: the log is whole, has every receipt, and accuses nobody. */
  async settle(): Promise<void> {
    const data = await openServerData(this.#made.data);
    try {
      await data.store.read(async (tx) => {
        await verifyAudit(tx, data.auditKey);
        for (const { seq, hash } of this.#receipts) {
          if ((await auditHashAt(tx, seq)) !== hash) throw new Error(`a key came out without its record ${seq}`);
        }
        const events = (await readAudit(tx, 0, 10_000_000)).map(
          ({ body }) => (JSON.parse(body) as { event: string }).event,
        );
        if (events.includes('fork_detected')) throw new Error('an honest host was called a copy');
      });
    } finally {
      await data.store.close();
    }
    if (this.#wrong.length > 0) throw new Error(this.#wrong.join('; '));
  }

  #line(): Agent {
    return new Agent({ ca: this.#made.ca, keepAlive: true, minVersion: 'TLSv1.3' });
  }

  async #drive(): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      try {
        this.#take(await this.#made.host.exchange({ port: this.#made.port, agent: this.#agent }, [keyId]), began);
      } catch (error) {
        this.#count((error as NodeJS.ErrnoException).code ?? (error as Error).message);
        this.#agent.destroy();
        this.#agent = this.#line();
      }
      await delay(pause);
    }
  }

  #take(answer: Awaited<ReturnType<EnrolledServer['host']['exchange']>>, began: number): void {
    const code = typeof answer.body.code === 'string' ? ` ${answer.body.code}` : '';
    this.#count(`${answer.status}${code}`);
    if (answer.status !== 200) {
      if (holdsKey(answer, this.#made.key)) this.#wrong.push(`a key came with status ${answer.status}`);
      if (answer.status === 423 || answer.status === 500) this.#wrong.push(`answered ${answer.status}${code}`);
      return;
    }
    if (!holdsKey(answer, this.#made.key)) this.#wrong.push('another key came out');
    const { seq, hash } = answer.body.head as unknown as Receipt;
    this.#receipts.push({ seq, hash });
    for (const { after, tell } of this.#waiting) if (after <= began) tell();
    this.#waiting = this.#waiting.filter(({ after }) => after > began);
  }

  #count(kind: string): void {
    this.#answers.set(kind, (this.#answers.get(kind) ?? 0) + 1);
  }
}
