import ssh2, { type AnyAuthMethod } from 'ssh2';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Prompter } from './prompter.ts';
import type { LoginMethod } from './ssh-login.ts';
import type { SshTarget } from './ssh-target.ts';

const PASSWORD_TRIES = 3;

interface Asked {
  readonly target: SshTarget;
  readonly methods: readonly LoginMethod[];
  readonly prompter: Prompter | null;
}

/** Hands the server one way to log in after the other, asking the person only when one is due. */
export class LoginAnswers {
  failure: LatchkeyError | undefined;
  readonly #options: Asked;
  readonly #queue: LoginMethod[];
  #passwords = 0;

  constructor(options: Asked) {
    this.#options = options;
    this.#queue = [...options.methods];
  }

  /** `left` is null before the server has said what it takes; then `none` makes it say so (RFC 4252, section 5.2). */
  async next(left: string[] | null): Promise<AnyAuthMethod | false> {
    const username = this.#options.target.user;
    if (left === null) return { type: 'none', username };
    for (let method = this.#queue[0]; method !== undefined; method = this.#queue[0]) {
      if (method.type === 'password') {
        const found = await this.#password(left);
        if (found !== null) return found;
      }
      this.#queue.shift();
      if (!left.includes('publickey')) continue;
      if (method.type === 'agent') return { type: 'agent', username, agent: method.socket };
      if (method.type === 'key') {
        const key = await this.#openKey(method);
        if (key !== null) return { type: 'publickey', username, key };
      }
    }
    return false;
  }

  async #password(left: string[]): Promise<AnyAuthMethod | null> {
    const { target, prompter } = this.#options;
    if (prompter === null || this.#passwords++ >= PASSWORD_TRIES) return null;
    const username = target.user;
    if (left.includes('keyboard-interactive')) {
      const prompt = (_name: string, _text: string, _lang: string, prompts: { prompt: string; echo?: boolean }[]) =>
        this.#answer(prompts.map((entry) => ({ text: entry.prompt, secret: entry.echo !== true })));
      return {
        type: 'keyboard-interactive',
        username,
        prompt: (name, text, lang, prompts, finish) => {
          prompt(name, text, lang, prompts as never).then(finish, () => finish([]));
        },
      };
    }
    if (!left.includes('password')) return null;
    const [password] = await this.#answer([{ text: 'password', secret: true }]);
    return password === undefined ? null : { type: 'password', username, password };
  }

  /** The server words its own questions, so they are shown as the server's, without control characters. */
  async #answer(questions: readonly { text: string; secret: boolean }[]): Promise<string[]> {
    const { target, prompter } = this.#options;
    const answers: string[] = [];
    for (const { text, secret } of questions) {
      const clean = text
        .replace(/[^\x20-\x7e]/g, '')
        .replace(/[: ]+$/, '')
        .slice(0, 200);
      const answer = await prompter?.ask(`${target.user}@${target.host} asks: ${clean}`, { secret });
      if (answer === null || answer === undefined) {
        this.#passwords = PASSWORD_TRIES;
        return [];
      }
      answers.push(answer);
    }
    return answers;
  }

  async #openKey(method: LoginMethod & { type: 'key' }): Promise<Buffer | ReturnType<typeof parseKey>> {
    const first = parseKey(method.data);
    if (first !== 'encrypted') return first ?? this.#unusable(method);
    const { prompter } = this.#options;
    for (let tries = 0; prompter !== null && tries < PASSWORD_TRIES; tries++) {
      const passphrase = await prompter.ask(`passphrase of ${method.file}`, { secret: true });
      if (passphrase === null) break;
      const key = parseKey(method.data, passphrase);
      if (key !== null && key !== 'encrypted') return key;
    }
    return this.#unusable(method);
  }

  #unusable(method: LoginMethod & { type: 'key' }): null {
    if (!method.required) return null;
    throw new LatchkeyError('identity_unusable', `the key file ${method.file} could not be opened`, {
      field: '--identity',
      hint: 'its passphrase was wrong or could not be asked for, or it is not a private key; an agent works too',
    });
  }
}

type PrivateKey = Exclude<ReturnType<typeof ssh2.utils.parseKey>, Error>;

/** The key, `encrypted` when the passphrase is missing or wrong, or null when it is nothing we can use. */
function parseKey(data: Buffer, passphrase?: string): PrivateKey | 'encrypted' | null {
  const parsed = ssh2.utils.parseKey(data, passphrase) as ReturnType<typeof ssh2.utils.parseKey> | PrivateKey[];
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error) return /encrypted|passphrase|integrity/i.test(key.message) ? 'encrypted' : null;
  return key?.isPrivateKey() ? key : null;
}
