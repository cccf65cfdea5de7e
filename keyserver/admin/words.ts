import { type Html, html } from '../../platform/html.ts';

const units = [
  ['day', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const;

/** A length of time for people, of its two largest units: `2 days 3 h`, `12 min`, `under a minute`. */
export function lengthWords(ms: number): string {
  let left = Math.max(0, ms);
  const parts: string[] = [];
  for (const [name, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${name}${name === 'day' && count > 1 ? 's' : ''}`);
    else if (parts.length > 0) break;
  }
  return parts.length === 0 ? 'under a minute' : parts.slice(0, 2).join(' ');
}

/** `2026-11-20 14:05 UTC`, marked up as a time. */
export function timeMark(at: number): Html {
  const text = new Date(at).toISOString();
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 16)} UTC</time>`;
}

/** How long ago, with the moment itself behind it. */
export function agoMark(at: number | null, now: number): Html {
  if (at === null) return html`<span class="quiet">never</span>`;
  return html`${lengthWords(now - at)} ago <span class="quiet">${timeMark(at)}</span>`;
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
