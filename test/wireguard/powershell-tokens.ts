/** By the language specification, section 2.3.5.2: each of these begins a string, and each ends it. */
const SINGLE = "['\u2018\u2019\u201a\u201b]";

const KINDS = [
  ['space', / +/y],
  ['string', new RegExp(`${SINGLE}(?:[^'\u2018-\u201b]|${SINGLE}{2})*${SINGLE}`, 'y')],
  ['character', /\[char\]0x([0-9a-f]{4})/y],
  ['plus', /\+/y],
  ['open', /\(/y],
  ['close', /\)/y],
] as const;

export interface Token {
  readonly kind: (typeof KINDS)[number][0] | 'other';
  readonly text: string;
}

/** An expression of PowerShell, as far as values of installers need it; `other` is whatever else there is, to its end. */
export function tokens(expression: string): Token[] {
  const found: Token[] = [];
  for (let at = 0; at < expression.length; ) {
    const token = tokenAt(expression, at);
    if (token.kind !== 'space') found.push(token);
    at += token.text.length;
  }
  return found;
}

function tokenAt(expression: string, at: number): Token {
  for (const [kind, pattern] of KINDS) {
    pattern.lastIndex = at;
    const text = pattern.exec(expression)?.[0];
    if (text !== undefined) return { kind, text };
  }
  return { kind: 'other', text: expression.slice(at) };
}

/** What one string, or strings and characters added up in parentheses, come to. Throws for everything else. */
export function expressionValue(expression: string): string {
  const read = tokens(expression);
  const isSum = read[0]?.kind === 'open';
  const parts = isSum ? read.slice(1, -1) : read;
  const shape = parts
    .map(({ kind }) => (kind === 'character' ? 'c' : kind === 'string' ? 's' : kind === 'plus' ? '+' : '?'))
    .join('');
  const fits = isSum ? read.at(-1)?.kind === 'close' && /^s(\+[sc])+$/.test(shape) : shape === 's';
  if (!fits) throw new Error(`not the expression of a value: ${expression}`);
  return parts.map(({ kind, text }) => partValue(kind, text)).join('');
}

function partValue(kind: Token['kind'], text: string): string {
  if (kind === 'character') return String.fromCharCode(Number.parseInt(text.slice(-4), 16));
  if (kind !== 'string') return '';
  return text.slice(1, -1).replace(new RegExp(`(${SINGLE})${SINGLE}`, 'g'), '$1');
}
