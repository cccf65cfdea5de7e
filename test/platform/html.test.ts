import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeHtml, Html, html } from '../../platform/html.ts';

const attempts = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' autofocus onfocus='alert(1)",
  '</title><svg/onload=alert(1)>',
  '`+alert(1)+`',
  '&lt;script&gt;',
  '<!--',
  ']]>',
];

test.each(attempts)('html escapes %s between tags and in quotes', (attempt) => {
  const { text } = html`<p title="${attempt}" lang='${attempt}'>${attempt}</p>`;
  const inside = text.slice('<p title="'.length, -'</p>'.length).replace('" lang=\'', '').replace("'>", '');
  expect(inside).not.toMatch(/[<>"'`]/);
  expect(inside).not.toMatch(/&(?!amp;|lt;|gt;|quot;|#39;|#96;)/);
});

test('html escapes any text so that a reader of entities gets it back', () => {
  const plain = fc.string({ unit: 'binary' }).filter((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(text));
  const names: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#96': '`' };
  fc.assert(
    fc.property(plain, (text) => {
      const escaped = escapeHtml(text);
      expect(escaped).not.toMatch(/[<>"'`]/);
      expect(escaped.replace(/&([a-z0-9#]+);/g, (_, name: string) => names[name] ?? '?')).toBe(text);
    }),
  );
});

test('html shows characters that cannot be seen, or turn text around, as what they are not', () => {
  for (const sign of ['\u202e', '\u2066', '\u200b', '\ufeff', '\u0000', '\u001b', '\r', '\u2028', '\ud800']) {
    expect(escapeHtml(`a${sign}b`)).toBe('a\u{fffd}b');
  }
  expect(escapeHtml('a\tb\nc')).toBe('a\tb\nc');
});

test('html takes parts, lists and nothing', () => {
  const rows = ['<a>', 'b'].map((name) => html`<li>${name}</li>`);
  expect(html`<ul>${rows}</ul>${null}${undefined}${false}${0}`.text).toBe('<ul><li>&lt;a&gt;</li><li>b</li></ul>0');
});

test('html does not take an object that only looks like markup', () => {
  const forged = JSON.parse('{"text":"<b>"}') as Html;
  expect(() => html`<p>${forged}</p>`).toThrow(TypeError);
});

test.each([
  ['an attribute without quotes', () => html`<p title=${'x'}>`],
  ['the name of a tag', () => html`<${'p'}>`],
  ['the name of an attribute', () => html`<p ${'hidden'}>`],
  ['a script', () => html`<script>${'x'}</script>`],
  ['a style', () => html`<style>${'x'}</style>`],
  ['an event attribute', () => html`<p onclick="${'x'}">`],
  ['a style attribute', () => html`<p style="a: ${'x'}">`],
  ['a place behind a quoted attribute', () => html`<p title="a" ${'x'}>`],
])('html refuses a value in %s', (_where, make) => {
  expect(make).toThrow('values between tags and in quoted attributes only');
});

test('html takes a value behind a script, in text with quotes, and after an attribute with a > in it', () => {
  expect(html`<script></script><p>don't "${'x'}"</p>`.text).toContain('"x"');
  expect(html`<p title="a > b">${'x'}</p>`).toBeInstanceOf(Html);
});
