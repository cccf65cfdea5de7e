import { styleText } from 'node:util';
import type { Terminal } from '../../platform/command-line.ts';

/** One step of the walk-through: what is shown to people, and the same for programs. */
export interface Scene {
  /** Stable name for programs. */
  readonly step: string;
  readonly title: string;
  readonly lines: readonly Line[];
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Line {
  readonly label: string;
  readonly text: string;
  readonly tone?: Tone;
}

/** `good`: as it should be, `refused`: an attack that got nothing, `quiet`: for those who look closer. */
export type Tone = 'good' | 'refused' | 'quiet';

const styles = { good: 'green', refused: 'yellow', quiet: 'dim' } as const;
const labelWidth = 12;

/** Shows scenes as they come: numbered and aligned for people, or one JSON document a line for programs. */
export class Stage {
  readonly #out: Terminal['stdout'];
  readonly #json: boolean;
  readonly #colour: boolean;
  #count = 0;

  constructor(terminal: Terminal, json: boolean) {
    this.#out = terminal.stdout;
    this.#json = json;
    this.#colour =
      terminal.stdout.isTTY === true && terminal.env.NO_COLOR === undefined && terminal.env.TERM !== 'dumb';
  }

  show(scene: Scene): void {
    if (this.#json) {
      this.#out.write(`${JSON.stringify({ step: scene.step, ...scene.data })}\n`);
      return;
    }
    this.#count += 1;
    const number = String(this.#count).padStart(2);
    this.#out.write(`\n${number}  ${this.#paint('bold', scene.title)}\n`);
    for (const { label, text, tone } of scene.lines) {
      const painted = tone === undefined ? text : this.#paint(styles[tone], text);
      this.#out.write(`    ${`${label.padEnd(labelWidth)}  ${painted}`.trimEnd()}\n`);
    }
  }

  /** A line for people only. */
  say(text: string): void {
    if (!this.#json) this.#out.write(`${text}\n`);
  }

  #paint(style: 'bold' | 'green' | 'yellow' | 'dim', text: string): string {
    return this.#colour ? styleText(style, text, { validateStream: false }) : text;
  }
}
