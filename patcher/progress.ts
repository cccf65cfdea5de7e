import { printable } from '../platform/printable.ts';
import { columnsOf, type Paper, wrapped } from './wrapped.ts';

/** What a long command tells while it works; goes to stderr, never to stdout. */
export interface Progress {
  /** Something is about to be done: `[#] deploy the app …`. */
  step(text: string): void;
  /** Something worth knowing. */
  note(text: string): void;
  /** How far the step has come: `done` of `total` files, or whatever else is counted. */
  portion?(done: number, total: number, unit: string): void;
  /** No portion is shown any more: others write to the same terminal. */
  portionsEnd?(): void;
}

const ERASE_LINE = '\r\u001b[K';

/** Below what a step is called, and what is noted of it. */
const STEP_INDENT = 4;
const NOTE_INDENT = 6;

/**
 * A portion is one line that is written anew, on a terminal only: a log would fill with it. Lines are broken between words there, as
 * wide as it is now.
 */
export function progressOn(stream: Paper & { write(text: string): unknown }): Progress {
  let shown = '';
  const say = (text: string, indent: number): void => {
    const erase = shown === '' ? '' : ERASE_LINE;
    shown = '';
    stream.write(`${erase}${wrapped(printable(text), columnsOf(stream), indent)}\n`);
  };
  return {
    step: (text) => say(`[#] ${text}`, STEP_INDENT),
    note: (text) => say(text === '' ? '' : `    ${text}`, NOTE_INDENT),
    portion: (done, total, unit) => {
      if (stream.isTTY !== true || total < 1) return;
      const percent = `${Math.floor((done / total) * 100)} %`;
      if (shown === percent) return;
      shown = percent;
      stream.write(`${ERASE_LINE}    ${done} of ${total} ${unit}, ${percent}`);
    },
    portionsEnd: () => {
      if (shown !== '') stream.write(ERASE_LINE);
      shown = '';
    },
  };
}
