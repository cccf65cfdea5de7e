import { LatchkeyError } from '../../platform/errors.ts';
import { type PairChange, type PairLook, parseChange, parseKeyAnswer, parseLook, refusalIn } from './pair-answers.ts';
import { type PairPlatform, type PairValues, pairScript } from './pair-script.ts';

/** A machine on which programs are run as root. */
export interface PairMachine {
  /** For messages. */
  readonly label: string;
  run(
    argv: readonly [string, ...string[]],
    options: { readonly input: string; readonly timeoutMs: number },
  ): Promise<{ readonly exit: number; readonly stdout: Buffer; readonly stderr: string }>;
}

/** Package managers take their time. */
const INSTALL_MS = 1_200_000;
const USUAL_MS = 120_000;

/**
 * One end of a pair of machines that WireGuard connects. Refusals are thrown as `pair_conf_foreign` and `pair_interface_foreign` (exit 3),
 * what failed and was undone as `pair_failed`.
 */
export class PairEnd {
  readonly label: string;
  readonly #machine: PairMachine;
  readonly #script: string;

  constructor(machine: PairMachine, platform: PairPlatform, values: PairValues) {
    this.label = machine.label;
    this.#machine = machine;
    this.#script = pairScript(platform, values);
  }

  /** Changes nothing. */
  async look(): Promise<PairLook> {
    return parseLook(await this.#run('look', [], USUAL_MS));
  }

  /** The public key of this end, made first where there is none, after WireGuard is installed where it is missing. */
  async key(): Promise<string> {
    return parseKeyAnswer(await this.#run('key', [], INSTALL_MS));
  }

  /** Configured as agreed, started, started at boot, and looked after from now on. */
  async up(otherKey: string): Promise<PairChange> {
    return parseChange(await this.#run('up', [otherKey], USUAL_MS));
  }

  /** True once the other end was heard; false when it was not within `seconds`. */
  async hears(seconds: number): Promise<boolean> {
    const { exit, stdout } = await this.#started('wait', [String(seconds)], seconds * 1000 + USUAL_MS);
    if (exit !== 0 && !/^handshake /m.test(stdout)) throw failed(this.label, 'wait', '');
    return exit === 0;
  }

  /** Both ends are connected: `undo` takes nothing away any more. */
  async settle(): Promise<void> {
    await this.#run('settle', [], USUAL_MS);
  }

  /** Takes away what was begun and never settled, with packages that were installed for it. */
  async undo(): Promise<PairChange> {
    return parseChange(await this.#run('undo', [], INSTALL_MS));
  }

  /** Takes away all that was made for this end, but not packages. */
  async down(): Promise<PairChange> {
    return parseChange(await this.#run('down', [], USUAL_MS));
  }

  async #run(mode: string, words: readonly string[], timeoutMs: number): Promise<string> {
    const { exit, stdout, stderr } = await this.#started(mode, words, timeoutMs);
    if (exit === 0) return stdout;
    const refusal = exit === 3 ? refusalIn(stdout) : null;
    const { message, hint } = saidBy(stderr);
    if (refusal === null) throw failed(this.label, mode, message, hint);
    throw new LatchkeyError(`pair_${refusal}`, `${this.label}: ${message}`, {
      exit: 3,
      field: 'wireguard.interface',
      ...(hint === undefined ? {} : { hint }),
    });
  }

  async #started(
    mode: string,
    words: readonly string[],
    timeoutMs: number,
  ): Promise<{ exit: number; stdout: string; stderr: string }> {
    const argv = ['sh', '-s', '--', mode, ...words] as const;
    const { exit, stdout, stderr } = await this.#machine.run(argv, { input: this.#script, timeoutMs });
    return { exit, stdout: stdout.toString('utf8'), stderr };
  }
}

/** The script's own words, which hold no secret; those of programs that it runs are left out. */
function saidBy(stderr: string): { message: string; hint?: string } {
  const said = (word: string): string | undefined => {
    const line = stderr.split('\n').find((one) => one.startsWith(`${word}: `));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    return line?.slice(word.length + 2, 500).replace(/[\u0000-\u001f\u007f]/g, '?');
  };
  const hint = said('hint');
  return { message: said('error') ?? '', ...(hint === undefined ? {} : { hint }) };
}

function failed(label: string, mode: string, message: string, hint?: string): LatchkeyError {
  const words = message === '' ? `the script for WireGuard failed at "${mode}"` : message;
  return new LatchkeyError('pair_failed', `${label}: ${words}`, hint === undefined ? {} : { hint });
}
