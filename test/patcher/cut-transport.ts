import { readFileSync } from 'node:fs';
import { openSshConnection } from '../../patcher/transports/ssh-connection.ts';
import { loginToTarget } from '../../patcher/transports/target-login.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import type { CuttableLine, TestSshd } from '../harness/sshd.ts';

/**
 * What happens to the n-th remote command, counted from 0: the line breaks `before` it is sent, or `after` it has ended,
 * its answer lost; it is `killed` some milliseconds after it began, and the line breaks with it; or it `dies` then, and the
 * line holds.
 */
export interface CutPoint {
  readonly at: number;
  readonly how: 'before' | 'after' | 'killed' | 'dies';
  readonly ms?: number;
}

export interface CutTransport {
  readonly transport: Transport;
  /** The commands sent so far, the last words of each. */
  readonly sent: readonly string[];
}

/** A real ssh connection whose n-th command goes wrong; `sleep 4`, of which there are some, takes no time. */
export async function openCutTransport(
  sshd: TestSshd,
  line: Pick<CuttableLine, 'port' | 'cut'>,
  cut: CutPoint | null,
  onAnswer: (n: number) => void = () => undefined,
): Promise<CutTransport> {
  const connection = await openSshConnection({
    target: { user: 'root', host: '127.0.0.1', port: line.port },
    isTrusted: (key) => key.toString('base64') === sshd.hostKey.split(' ')[1],
    preferredTypes: [],
    methods: [{ type: 'key', file: sshd.identity, data: readFileSync(sshd.identity), required: true }],
    prompter: null,
    connectTimeoutMs: 20_000,
  });
  const sent: string[] = [];
  let counting = false;
  const lost = () => {
    line.cut();
    return new LatchkeyError('connection_lost', 'the line was cut');
  };
  const transport = await loginToTarget({
    label: 'cut',
    exec: async (given, options) => {
      const argv = given.at(-2) === 'sleep' ? ([...given.slice(0, -1), '0'] as unknown as typeof given) : given;
      if (!counting) return connection.exec(argv, options);
      const n = sent.push(argv.slice(-3).join(' ').slice(-200)) - 1;
      if (n !== cut?.at) {
        const answer = await connection.exec(argv, options);
        onAnswer(n);
        return answer;
      }
      if (cut.how === 'before') throw lost();
      if (cut.how === 'after') {
        await connection.exec(argv, options);
        throw lost();
      }
      try {
        const answer = await connection.exec(argv, { ...options, timeoutMs: cut.ms ?? 1 });
        if (cut.how === 'dies') return answer; // it was faster
      } catch (error) {
        if (!isLatchkeyError(error, 'command_timeout')) throw error;
        if (cut.how === 'dies') return { exit: 137, stdout: Buffer.alloc(0), stderr: '' };
      }
      throw lost();
    },
    sudo: false,
    prompter: null,
    close: () => connection.close(),
  });
  counting = true;
  return { transport, sent };
}
