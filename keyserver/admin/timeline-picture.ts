import { type Html, html } from '../../platform/html.ts';
import type { Gap } from '../presence/absence.ts';
import type { Presence } from './heard.ts';
import { type RangeName, ranges } from './range.ts';
import { type Counts, none, stretch, sum } from './timeline.ts';
import { counted, lengthWords } from './words.ts';

/** What a picture is drawn from. */
export interface TimelineFacts {
  readonly counts: ReadonlyMap<number, Counts>;
  /** When a person was asked, ms. */
  readonly holds: readonly number[];
  readonly presence: readonly Presence[];
}

/** In the units of the picture; a phone shows one as one pixel. */
const width = 360;
const releases = { top: 18, base: 54 };
const denials = { base: 54, bottom: 74 };
const heard = { top: 82, height: 8 };
const height = 108;

/**
 * A client's last day, week or month: releases as bars that stand, denials as bars that hang, a diamond where a person was asked, a
 * cross on a line for a fork, and below it when the client was heard. Nothing is told by colour alone. Made here, as SVG in
 * the page, without a program in the browser; the caption beside it says the same in words.
 */
export function timelinePicture(facts: TimelineFacts, name: RangeName, now: number, id: string): Html {
  const range = ranges[name];
  const span: Gap = { since: now - range.span, until: now };
  const columns = columnsOf(facts.counts, span, range.columns);
  const most = Math.max(1, ...columns.map((column) => Math.max(column.releases, column.denials)));
  return html`<figure class="timeline">
<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}">
${ticks(span, range.tick, range.tickLabel)}
<line class="baseline" x1="0" x2="${width}" y1="${releases.base}" y2="${releases.base}"/>
${columns.map((column, index) => bars(column, index, range.columns, most))}
${facts.presence.map((run) => presenceMark(run, span))}
${facts.holds.filter((at) => at >= span.since).map((at) => holdMark(xOf(at, span)))}
${columns.map((column, index) => (column.forks > 0 ? forkMark(((index + 0.5) * width) / range.columns) : null))}
</svg>
<figcaption id="${id}">${timelineWords(facts, name, now)}</figcaption>
</figure>`;
}

/** The same as a sentence. */
export function timelineWords(facts: TimelineFacts, name: RangeName, now: number): string {
  const since = now - ranges[name].span;
  const total = [...facts.counts]
    .filter(([index]) => (index + 1) * stretch > since)
    .reduce((all, [, counts]) => sum(all, counts), none);
  const held = facts.holds.filter((at) => at >= since).length;
  const silent = facts.presence.filter((run) => run.kind === 'silent');
  const longest = Math.max(0, ...silent.map((run) => run.until - run.since));
  const heartbeats =
    facts.presence.length === 0
      ? 'not heard'
      : silent.length === 0
        ? 'no silence'
        : `silent ${counted(silent.length, 'time')}, at most ${lengthWords(longest)}`;
  const what = [
    counted(total.releases, 'release'),
    counted(total.denials, 'denial'),
    held > 0 ? `${held} held for approval` : '',
    total.forks > 0 ? counted(total.forks, 'fork') : 'no fork',
    heartbeats,
  ];
  return `Last ${ranges[name].words}: ${what.filter((part) => part !== '').join(', ')}.`;
}

function columnsOf(counts: ReadonlyMap<number, Counts>, span: Gap, count: number): readonly Counts[] {
  const columns = new Array<Counts>(count).fill(none);
  const each = (span.until - span.since) / count;
  for (const [index, found] of counts) {
    // the middle of the stretch, so that none is drawn twice; the one that began before the picture is its first
    const at = Math.min(index * stretch + stretch / 2, span.until - 1);
    const column = Math.floor((Math.max(at, span.since) - span.since) / each);
    if ((index + 1) * stretch <= span.since || column >= count) continue;
    columns[column] = sum(columns[column] ?? none, found);
  }
  return columns;
}

/** Heights by the square root: one denial beside a hundred releases can still be seen. */
function bars(column: Counts, index: number, count: number, most: number): Html | null {
  if (column.releases === 0 && column.denials === 0) return null;
  const each = width / count;
  const x = fixed(index * each + each * 0.1);
  const wide = fixed(each * 0.8);
  const tall = (value: number, room: number) => (value === 0 ? 0 : Math.max(2, room * Math.sqrt(value / most)));
  const up = tall(column.releases, releases.base - releases.top);
  const down = tall(column.denials, denials.bottom - denials.base);
  return html`${up > 0 && html`<rect class="release" x="${x}" y="${fixed(releases.base - up)}" width="${wide}" height="${fixed(up)}"/>`}${down > 0 && html`<rect class="denial" x="${x}" y="${denials.base}" width="${wide}" height="${fixed(down)}"/>`}`;
}

function presenceMark(run: Presence, span: Gap): Html {
  const x = xOf(Math.max(run.since, span.since), span);
  const wide = Math.max(run.kind === 'silent' ? 2 : 0.5, xOf(run.until, span) - x);
  const left = fixed(Math.min(x, width - wide));
  const middle = heard.top + heard.height / 2;
  if (run.kind === 'heard') {
    return html`<rect class="heard" x="${left}" y="${heard.top}" width="${fixed(wide)}" height="${heard.height}"/>`;
  }
  if (run.kind === 'unwatched') {
    return html`<line class="unwatched" x1="${left}" x2="${fixed(x + wide)}" y1="${middle}" y2="${middle}"/>`;
  }
  return html`<rect class="silent" x="${left}" y="${heard.top + 0.5}" width="${fixed(wide)}" height="${heard.height - 1}"/>`;
}

function holdMark(x: number): Html {
  const at = Math.min(width - 5, Math.max(5, x));
  return html`<path class="hold" d="M${fixed(at)} 2l5 5l-5 5l-5 -5z"/>`;
}

function forkMark(x: number): Html {
  const at = Math.min(width - 6, Math.max(6, x));
  return html`<line class="fork-line" x1="${fixed(at)}" x2="${fixed(at)}" y1="12" y2="${denials.bottom}"/><path class="fork" d="M${fixed(at - 5)} 2l10 10m0 -10l-10 10"/>`;
}

/** Round times of the zone UTC, with a label each. */
function ticks(span: Gap, step: number, label: 'hour' | 'day'): readonly Html[] {
  const marks: Html[] = [];
  for (let at = Math.ceil(span.since / step) * step; at <= span.until; at += step) {
    const x = xOf(at, span);
    const text = new Date(at).toISOString();
    const words = label === 'hour' ? text.slice(11, 16) : text.slice(5, 10);
    const anchor = x < 16 ? 'start' : x > width - 16 ? 'end' : 'middle';
    marks.push(
      html`<line class="tick" x1="${fixed(x)}" x2="${fixed(x)}" y1="14" y2="94"/><text class="tick-label" x="${fixed(x)}" y="104" text-anchor="${anchor}">${words}</text>`,
    );
  }
  return marks;
}

function xOf(at: number, span: Gap): number {
  return ((at - span.since) / (span.until - span.since)) * width;
}

function fixed(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** What the marks mean; once on a page. */
export function timelineLegend(): Html {
  const entry = (mark: Html, words: string): Html =>
    html`<li><svg class="key" viewBox="0 0 14 14" aria-hidden="true">${mark}</svg>${words}</li>`;
  return html`<ul class="legend" aria-label="What the marks mean">
${entry(html`<rect class="release" x="4" y="2" width="6" height="11"/>`, 'release')}
${entry(html`<rect class="denial" x="4" y="1" width="6" height="11"/>`, 'denial (hangs)')}
${entry(html`<path class="hold" d="M7 2l5 5l-5 5l-5 -5z"/>`, 'held for approval')}
${entry(html`<path class="fork" d="M2 2l10 10m0 -10l-10 10"/>`, 'fork')}
${entry(html`<rect class="heard" x="0" y="3" width="14" height="8"/>`, 'heard')}
${entry(html`<rect class="silent" x="0.5" y="3.5" width="13" height="7"/>`, 'silent')}
${entry(html`<line class="unwatched" x1="0" x2="14" y1="7" y2="7"/>`, 'key server away')}
</ul>`;
}
