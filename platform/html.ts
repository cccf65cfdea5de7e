/** Markup that may stand in a page as it is. Only `html` makes it, from literals of the program and escaped values. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template: text and numbers are escaped; nothing is written for `null`, `undefined` and `false`. */
export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[];

/**
 * A page or a part of one: html`<p title="${tip}">${words}</p>`. Every value is escaped for text and for quoted
 * attributes; a value anywhere else (an attribute without quotes, a tag's name, a script, a style) throws `TypeError`.
 */
export function html(literals: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  assertSafePlaces(literals);
  const parts = literals.map((literal, index) => literal + (index < values.length ? markupOf(values[index]) : ''));
  return new Html(parts.join(''));
}

function markupOf(value: HtmlValue): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return '';
  return typeof value === 'object' ? value.map(markupOf).join('') : escapeHtml(String(value));
}

const spellings: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/**
 * Text as it may stand between tags and in quoted attributes. Control characters and those that turn text around or
 * cannot be seen become U+FFFD: whoever decides by what a page says must read what is there.
 */
export function escapeHtml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cf}\p{Zl}\p{Zp}]|(?![\t\n])\p{Cc}/gu, '\u{fffd}')
    .replace(/[&<>"'`]/g, (sign) => spellings[sign] ?? '');
}

/** Templates that were looked at already: each has one object of literals for the life of the program. */
const looked = new WeakSet<TemplateStringsArray>();

function assertSafePlaces(literals: TemplateStringsArray): void {
  if (looked.has(literals)) return;
  let before = '';
  for (const literal of literals.slice(0, -1)) {
    before += literal;
    if (!isSafePlace(before)) throw new TypeError('a template takes values between tags and in quoted attributes only');
    before += 'value';
  }
  looked.add(literals);
}

/** Whether text that follows `before` is between tags or in the quotes of an attribute that holds no program. */
function isSafePlace(before: string): boolean {
  if (/<(script|style)\b(?![\s\S]*<\/\1)/i.test(before)) return false;
  const tag = /<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*("[^"]*|'[^']*)?$/.exec(before);
  if (tag === null) return true;
  return tag[1] !== undefined && !/\s(on\w+|style|srcdoc)\s*=\s*["'][^"']*$/i.test(before);
}
