import { printable } from '../platform/printable.ts';

/** What a long command tells while it works; goes to stderr, never to stdout. */
export interface Progress {
  /** Something is about to be done: `[#] deploy the app …`. */
  step(text: string): void;
  /** Something worth knowing. */
  note(text: string): void;
  /** How far the step has come: `done` of `total` files, or whatever else is counted. */
  portion?(done: number, total: number, unit: string): void;
}

const ERASE_LINE = '\r\u001b[K';

/** A portion is one line that is written anew, on a terminal only: a log would fill with it. */
export function progressOn(stream: { write(text: string): unknown; readonly isTTY?: boolean }): Progress {
  let shown = '';
  const say = (text: string): void => {
    const erase = shown === '' ? '' : ERASE_LINE;
    shown = '';
    stream.write(`${erase}${printable(text)}\n`);
  };
  return {
    step: (text) => say(`[#] ${text}`),
    note: (text) => say(`    ${text}`),
    portion: (done, total, unit) => {
      if (stream.isTTY !== true || total < 1) return;
      const percent = `${Math.floor((done / total) * 100)} %`;
      if (shown === percent) return;
      shown = percent;
      stream.write(`${ERASE_LINE}    ${done} of ${total} ${unit}, ${percent}`);
    },
  };
}
