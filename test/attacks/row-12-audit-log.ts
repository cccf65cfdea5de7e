import { chmodSync, cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sha256 } from '../../platform/encoding.ts';
import { run } from '../../platform/run.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { call } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings } from './attack.ts';
import { auditTail, type EnrolledServer, holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';
import type { Scene } from './scene.ts';

interface Row {
  readonly seq: number;
  readonly body: string;
  readonly hash: Uint8Array;
}

/** The whole log as the one who can write to the disk sees it. */
class Log {
  readonly #db: DatabaseSync;

  constructor(data: string) {
    this.#db = new DatabaseSync(join(data, 'keyserver.db'));
  }

  rows(): Row[] {
    return this.#db.prepare('select seq, body, hash from audit order by seq').all() as unknown as Row[];
  }

  signedTo(): number {
    return Number(this.#db.prepare('select max(seq) as seq from audit_signature').get()?.seq ?? 0);
  }

  run(sql: string, ...values: (string | number | Uint8Array)[]): void {
    this.#db.prepare(sql).run(...values);
  }

  /** Writes these texts as the whole log, numbered and hashed anew: the forger knows how. */
  rewrite(bodies: readonly string[]): void {
    this.run('delete from audit');
    let hash: Uint8Array = new Uint8Array(32);
    bodies.forEach((text, index) => {
      const seq = index + 1;
      const body = text.replace(/"seq":[0-9]+/, `"seq":${seq}`);
      hash = sha256(hash, body);
      this.run('insert into audit (seq, body, hash) values (?, ?, ?)', seq, body, hash);
    });
  }

  close(): void {
    this.#db.close();
  }
}

type Forgery = readonly [name: string, forge: (log: Log, target: number) => void];

const swap = <T>(list: readonly T[], at: number): T[] => {
  const copy = [...list];
  copy.splice(at, 2, ...copy.slice(at, at + 2).reverse());
  return copy;
};

/** Each hides the release in record `target`. */
const forgeries: readonly Forgery[] = [
  ['edited', (log, at) => log.run(`update audit set body = replace(body, '127.0.0.1', '10.86.0.7') where seq = ?`, at)],
  [
    'event renamed',
    (log, at) => log.run(`update audit set body = replace(body, 'released', 'refused_') where seq = ?`, at),
  ],
  ['deleted', (log, at) => log.run('delete from audit where seq = ?', at)],
  [
    'deleted, the rest renumbered and hashed anew',
    (log, at) =>
      log.rewrite(
        log
          .rows()
          .filter((row) => row.seq !== at)
          .map((row) => row.body),
      ),
  ],
  [
    'edited, all hashed anew',
    (log, at) =>
      log.rewrite(
        log.rows().map((row) => (row.seq === at ? row.body.replace('key_released', 'request_denied') : row.body)),
      ),
  ],
  [
    'swapped with the one after it',
    (log, at) => {
      log.run('update audit set seq = -1 where seq = ?', at);
      log.run('update audit set seq = ? where seq = ?', at, at + 1);
      log.run('update audit set seq = ? where seq = -1', at + 1);
    },
  ],
  [
    'swapped with the one after it, all hashed anew',
    (log, at) =>
      log.rewrite(
        swap(
          log.rows().map((row) => row.body),
          at - 1,
        ),
      ),
  ],
  ['cut off from there on', (log, at) => log.run('delete from audit where seq >= ?', at)],
  ['emptied', (log) => log.run('delete from audit')],
  [
    'emptied, signatures too',
    (log) => {
      log.run('delete from audit');
      log.run('delete from audit_signature');
    },
  ],
  [
    'edited, all hashed anew, signatures deleted',
    (log, at) => {
      log.rewrite(
        log.rows().map((row) => (row.seq === at ? row.body.replace('key_released', 'request_denied') : row.body)),
      );
      log.run('delete from audit_signature');
    },
  ],
];

async function verify(data: string): Promise<{ readonly exit: number; readonly words: string }> {
  const command = [...projectProgram('keyserver/main.ts'), 'audit', 'verify', '--data', data] as const;
  const result = await run(command as unknown as [string, ...string[]], { timeoutMs: 30_000, allowExit: 'any' });
  return { exit: result.exit, words: result.stderr.trim().split('\n')[0] ?? '' };
}

function copyOf(scene: Scene, data: string): string {
  const copy = join(mkdtempSync(join(scene.folder, 'forged-')), 'data');
  cpSync(data, copy, { recursive: true });
  chmodSync(copy, 0o700);
  return copy;
}

interface Head {
  readonly seq: number;
  readonly hash: string;
}

/**
 * What no local check can see: the log as it was before the release, signatures and all, and a made-up end. The hosts have
 * been shown the real head, and say so.
 */
async function takeSignaturesBack(made: EnrolledServer, target: number, head: Head): Promise<boolean> {
  const log = new Log(made.data);
  log.rewrite(log.rows().map((row) => (row.seq === target ? row.body.replace('127.0.0.1', '127.0.0.9') : row.body)));
  log.run('delete from audit_signature where seq >= ?', target);
  log.close();
  await made.server.start();
  const line = { port: made.port, agent: made.agent() };
  const seen = { seq: head.seq, head: head.hash };
  const { host } = made;
  await call(line, 'POST', '/v1/open', host.openHeaders(), { ...host.openBody(), seen });
  return (await auditTail(made.server)).some((record) => record.event === 'server_rollback_suspected');
}

export const auditLogRow: Attack = {
  row: '12',
  attackerHas: 'the audit log, to hide a release',
  stock: '-',
  latchkey: 'chain and signatures break: keyserver audit verify names the record',
  run: async (scene) => {
    const made = await startEnrolledServer(scene);
    const line = { port: made.port, agent: made.agent() };
    let head: unknown = null;
    for (let turn = 0; turn < 4; turn++) {
      const answer = await made.host.exchange(line, [keyId]);
      control(holdsKey(answer, made.key), 'there is no release to hide');
      head = answer.body.head;
    }
    await made.server.stop(); // signs
    const log = new Log(made.data);
    const released = log.rows().filter((row) => row.body.includes('"key_released"'));
    const target = released[1]?.seq ?? 0;
    control(target > 0 && log.signedTo() > target, 'the release is not under a signature');
    log.close();
    const untouched = await verify(copyOf(scene, made.data));
    control(untouched.exit === 0, `verify refuses the untouched log: ${untouched.words}`);

    const found = new Findings();
    for (const [name, forge] of forgeries) {
      const data = copyOf(scene, made.data);
      const forged = new Log(data);
      forge(forged, target);
      forged.close();
      const { exit, words } = await verify(data);
      found.expect(exit !== 0, `${name}: verify noticed nothing`);
      found.expect(exit === 0 || /record [0-9]+/.test(words), `${name}: verify names no record: ${words}`);
    }
    const noticed = await takeSignaturesBack(made, target, head as Head);
    found.expect(noticed, 'the host does not notice that the log it was shown is gone');
    return found.outcome(
      `${forgeries.length} forgeries of record ${target}, each found and the record named; with all signatures from there on ` +
        "taken away too, the next message of a host that remembers the log's head is put on record as a rollback",
    );
  },
};
